"""DiffusionVLA: predict the noise in the chunk, and the words that come before it (arXiv 2412.03293)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.noise_prediction import noise_prediction_loss
from dvla_ros.models.perception import Percept
from dvla_ros.models.small_divla import SmallDivla
from dvla_ros.training.batch import Batch, Losses
from dvla_ros.training.grounding import with_grounding
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


class DiffusionVlaObjective:
    """Mean squared error of the noise, cross-entropy of each word given those before it.

    Rows that were being executed are noised like all others, as they are when a policy in-paints around them, and their
    noise is not in the loss.
    """

    def __init__(self, config: DiffusionVlaObjectiveConfig) -> None:
        self._config = config

    def __call__(self, model: SmallDivla, batch: Batch, generator: torch.Generator) -> Losses:
        """All losses of one batch."""
        config = self._config
        percept, condition, words = self._understood(model, batch)
        noise = self._noise_loss(model, model.encode_condition(condition, batch.state), batch, generator)
        parts = {"noise": noise, **words}
        total = noise + config.reasoning * sum(words.values(), torch.zeros_like(noise))
        return with_grounding(Losses(total, parts), percept, batch, config.grounding, config.localising)

    def _understood(self, model: SmallDivla, batch: Batch) -> tuple[Percept, Tensor, dict[str, Tensor]]:
        """What was perceived, the condition, and the loss of the words where there are any."""
        if not self._config.reason:
            prompt = model.prefill(batch.images, batch.text, batch.state)
            return prompt.percept, model.condition(prompt, None), {}
        reasoning = batch.targets.reasoning
        if reasoning is None:
            raise ConfigurationError("There is no reasoning to learn from; give targets that have it, or reason=false.")
        taught = model.teach(batch.images, batch.text, batch.state, reasoning)
        words = functional.cross_entropy(taught.logits.flatten(0, 1), reasoning.flatten(), ignore_index=-1)
        return taught.percept, taught.condition, {"reasoning": words}

    def _noise_loss(self, model: SmallDivla, condition: Tensor, batch: Batch, generator: torch.Generator) -> Tensor:
        draws = self._config.draws
        actions = batch.targets.actions.repeat_interleave(draws, dim=0)
        row = torch.arange(actions.shape[1], device=actions.device)
        executing = row < frozen_steps(batch).unsqueeze(1).repeat_interleave(draws, dim=0)
        return noise_prediction_loss(
            model.policy_head,
            condition.repeat_interleave(draws, dim=0),
            actions,
            executing,
            generator,
            config=model.config.ddim(),
            count_padding=False,
        )
