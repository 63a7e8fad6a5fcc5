"""What one policy says about the times of recordings at which it is asked."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dvla_ros.control.observation import Observation
from dvla_ros.errors import ObservationError
from dvla_ros.evaluation.anchors import Anchor
from dvla_ros.evaluation.open_loop.sample import Sample
from dvla_ros.evaluation.prepared_bag import PreparedBag
from dvla_ros.evaluation.replay import ReplayFigures
from dvla_ros.policies.base import Policy
from dvla_ros.recordings.bag import Bag
from dvla_ros.recordings.observations import observations

Keep = Callable[[Anchor, Observation], None]


@dataclass
class PolicyAnswers:
    """Answers so far, over all bags.

    Attributes:
        samples: Predictions beside what was recorded.
        replay: Recorded inferences asked again.
        unanswered: Questions without an observation, by reason.
        recorded_s: Seconds of recording gone through.
        wall_s: Seconds that reading, aligning and predicting took.
    """

    samples: list[Sample] = field(default_factory=list)
    replay: ReplayFigures = field(default_factory=ReplayFigures)
    unanswered: Counter[str] = field(default_factory=Counter)
    recorded_s: float = 0.0
    wall_s: float = 0.0

    @property
    def asked(self) -> int:
        """Questions so far."""
        return len(self.samples) + sum(self.unanswered.values())

    def ask(
        self,
        bag: Bag,
        prepared: PreparedBag,
        anchors: Sequence[Anchor],
        instructions: Mapping[int, str],
        policy: Policy,
        seed: int,
        keep: Keep,
    ) -> None:
        """Ask a policy about all anchors of a bag, in one pass over it.

        Args:
            bag: Open.
            prepared: What is known of it.
            anchors: In order of time.
            instructions: By number of the episode.
            policy: Forgets at each new episode.
            seed: Of the first question of all bags; each next one has the next.
            keep: Called with each observation.

        Raises:
            RecordingError: The bag lacks a stream that the policy needs.
        """
        began = time.perf_counter()
        topics = replace(prepared.topics, cameras=policy.spec.cameras)
        words = {anchor.seen: instructions[anchor.episode] for anchor in anchors}
        seen = observations(bag, topics, prepared.alignment, [anchor.seen for anchor in anchors], words.__getitem__)
        episode = None
        for anchor, (_, observation) in zip(anchors, seen, strict=True):
            if isinstance(observation, ObservationError):
                self.unanswered[_kind(observation)] += 1
                continue
            if anchor.episode != episode:
                episode = anchor.episode
                policy.reset()
            keep(anchor, observation)
            self.samples.append(_sample(policy, anchor, observation, prepared, seed + self.asked))
        self.wall_s += time.perf_counter() - began

    def reasons(self) -> str:
        """Why questions were not answered, in words."""
        return "; ".join(f"{count} times: {reason}" for reason, count in self.unanswered.most_common(5))


def _sample(policy: Policy, anchor: Anchor, observation: Observation, prepared: PreparedBag, seed: int) -> Sample:
    spec = policy.spec
    began = time.perf_counter()
    prediction = policy.predict(observation, seed=seed)
    elapsed = time.perf_counter() - began
    return Sample(
        episode=anchor.episode,
        anchor=anchor.due,
        predicted=prediction.actions,
        recorded=prepared.track.rows(anchor.due, spec.dt, spec.horizon, spec.mode),
        confidence=prediction.confidence,
        nfe=prediction.nfe,
        decode_s=elapsed,
        malformed=prediction.malformed,
    )


def _kind(error: ObservationError) -> str:
    """The error without its numbers, so that the same thing at another time is the same."""
    return " ".join("…" if any(letter.isdigit() for letter in word) else word for word in str(error).split())
