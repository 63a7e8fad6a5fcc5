"""DiffusionVLA: predict the noise in the chunk, and the words that come before it (arXiv 2412.03293)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dvla_ros.denoising.noise import Noise
from dvla_ros.errors import ConfigurationError
from dvla_ros.models.noise_prediction import noise_prediction_errors
from dvla_ros.training.batch import ExampleBatch
from dvla_ros.training.grounding import grounding_counts, grounding_sums
from dvla_ros.training.learner import ReasoningLearner
from dvla_ros.training.objectives.frozen_rows import frozen_steps


@dataclass(frozen=True)
class DiffusionVlaObjectiveConfig:
    """Weights of the parts of the loss.

    The published loss is that of the noise plus that of the words, both with weight 1 and one draw.

    Attributes:
        reason: Whether the network reasons before it acts; False is the TinyVLA form, which has no words.
        draws: Noise levels per observation; prompt and words are shared among them.
        reasoning: Weight of the words' cross-entropy.
        grounding: Weight of finding the sentence's object and goal in the images.
        localising: Weight of telling where these two are.
    """

    reason: bool = True
    draws: int = 4
    reasoning: float = 1.0
    grounding: float = 0.15
    localising: float = 2.0

    def __post_init__(self) -> None:
        if not isinstance(self.reason, bool):
            raise ConfigurationError(f"reason must be true or false, got {self.reason!r}.")
        if self.draws < 1 or min(self.reasoning, self.grounding, self.localising) < 0:
            raise ConfigurationError(f"draws must be 1 or more and weights 0 or more, got {self}.")


@dataclass(frozen=True)
class NoiseExercise:
    """A batch whose noise is drawn.

    Attributes:
        batch: The examples.
        counts: See `training.batch.Exercise`.
        noise: One row for each chunk and draw.
        taught: bool `[B * draws, H]`, rows whose noise is in the loss.
    """

    batch: ExampleBatch
    counts: Mapping[str, Tensor]
    noise: Noise
    taught: Tensor


class DiffusionVlaObjective:
    """Mean squared error of the noise, cross-entropy of each word given those before it.

    Rows that were being executed are noised like all others, as they are when a policy in-paints around them, and their
    noise is not in the loss.
    """

    def __init__(self, config: DiffusionVlaObjectiveConfig) -> None:
        self._config = config
        self.weights = {
            "noise": 1.0,
            "reasoning": config.reasoning,
            "grounding": config.grounding,
            "localising": config.localising,
        }

    def exercise(self, batch: ExampleBatch, noise: Noise) -> NoiseExercise:
        """See `Objective`."""
        draws, actions, reasoning = self._config.draws, batch.targets.actions, batch.targets.reasoning
        row = torch.arange(actions.shape[1], device=actions.device)
        taught = (row >= frozen_steps(batch).unsqueeze(1)).repeat_interleave(draws, dim=0)
        counts = {"noise": taught.sum() * actions.shape[2], **grounding_counts(batch)}
        if self._config.reason:
            if reasoning is None:
                raise ConfigurationError(
                    "There is no reasoning to learn from; give targets that have it, or reason=false."
                )
            counts["reasoning"] = (reasoning >= 0).sum()
        return NoiseExercise(batch, counts, noise.spread(draws), taught)

    def sums(self, learner: ReasoningLearner, exercise: NoiseExercise) -> Mapping[str, Tensor]:
        """See `Objective`."""
        batch, draws = exercise.batch, self._config.draws
        found = learner.understand(batch, self._config.reason)
        condition = found.condition.repeat_interleave(draws, dim=0)
        actions = batch.targets.actions.repeat_interleave(draws, dim=0)
        errors = noise_prediction_errors(learner.head, condition, actions, exercise.noise, config=learner.levels)
        sums = {"noise": (errors * exercise.taught.unsqueeze(-1)).sum()}
        if found.words is not None:
            assert batch.targets.reasoning is not None
            words, said = found.words.float().flatten(0, 1), batch.targets.reasoning.flatten()
            sums["reasoning"] = functional.cross_entropy(words, said, ignore_index=-1, reduction="sum")
        return sums | grounding_sums(found.percept, batch)
