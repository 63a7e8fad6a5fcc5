"""Asks a policy for what a replanner wants to know, and hands the answer back."""

from dvla_ros.control.observation import Observation
from dvla_ros.control.replanning import Answer, Ask
from dvla_ros.policies.base import Guess, Policy, Prediction


def predict_for(policy: Policy, observation: Observation, ask: Ask, seed: int | None = None) -> Prediction:
    """Infer the chunk that is asked for; see `Policy.predict`."""
    guess = None
    if ask.guess is not None and ask.guess_confidence is not None:
        guess = Guess(ask.guess, ask.guess_confidence)
    return policy.predict(
        observation,
        frozen_actions=ask.frozen if len(ask.frozen) else None,
        warm_start=guess,
        needed_steps=ask.needed_steps,
        seed=seed,
        deadline_s=ask.deadline_s,
    )


def answer_of(prediction: Prediction) -> Answer:
    """What a replanner wants to know of a prediction."""
    return Answer(prediction.actions, prediction.confidence, prediction.decided_steps)
