"""Networks as the objectives see them: a batch in, logits over canvases or the condition of an action head out."""

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from dvla_ros.denoising.state import Scores
from dvla_ros.models.ddim import DdimConfig, NoisePredictor
from dvla_ros.models.perception import Percept
from dvla_ros.models.small_divla import SmallDivla
from dvla_ros.models.small_vla import Prefix, SmallVla
from dvla_ros.training.batch import Batch


class TokenLearner(Protocol):
    """A network that learns to fill canvases."""

    def prefix(self, batch: Any, times: int = 1) -> Any:
        """What stands before the canvases: each observation `times` times, side by side."""
        ...

    def logits(self, prefix: Any, tokens: Tensor) -> Tensor | Scores:
        """Logits `[B * times, L, V]` of canvases int64 `[B * times, L]`."""
        ...

    def percept(self, prefix: Any) -> Percept | None:
        """What was perceived of the observations, where the perception is trained; None elsewhere."""
        ...


@dataclass(frozen=True)
class Understood:
    """What a network that reasons made of a batch.

    Attributes:
        condition: `[B, C]`, as its head takes it.
        words: Logits `[B, R, V]` of the reasoning; None where it is silent.
        percept: What was perceived, where the perception is trained.
    """

    condition: Tensor
    words: Tensor | None = None
    percept: Percept | None = None


class ReasoningLearner(Protocol):
    """A network that learns to reason, and to denoise chunks of numbers."""

    @property
    def head(self) -> NoisePredictor:
        """What predicts noise."""
        ...

    @property
    def levels(self) -> DdimConfig:
        """Noise levels of the head."""
        ...

    def understand(self, batch: Any, reason: bool) -> Understood:
        """Read a batch, and its reasoning where it has one and `reason` is set."""
        ...


class SmallLearner:
    """A `TokenLearner` of the small network."""

    def __init__(self, model: SmallVla) -> None:
        self._model = model

    def prefix(self, batch: Batch, times: int = 1) -> tuple[Percept, Prefix]:
        """See `TokenLearner`."""
        prefix = self._model.prefill(batch.images, batch.text, batch.state, batch.targets.seen, batch.moved)
        return prefix.percept, prefix.repeat(times) if times > 1 else prefix

    def logits(self, prefix: tuple[Percept, Prefix], tokens: Tensor) -> Tensor | Scores:
        """See `TokenLearner`."""
        return self._model.logits(prefix[1], tokens)

    def percept(self, prefix: tuple[Percept, Prefix]) -> Percept | None:
        """See `TokenLearner`."""
        return prefix[0] if prefix[0].tokens.requires_grad else None


class SmallReasoningLearner:
    """A `ReasoningLearner` of the small network."""

    def __init__(self, model: SmallDivla) -> None:
        self._model = model

    @property
    def head(self) -> NoisePredictor:
        """See `ReasoningLearner`."""
        return self._model.policy_head

    @property
    def levels(self) -> DdimConfig:
        """See `ReasoningLearner`."""
        return self._model.config.ddim()

    def understand(self, batch: Batch, reason: bool) -> Understood:
        """See `ReasoningLearner`."""
        model, words = self._model, None
        if reason:
            assert batch.targets.reasoning is not None
            taught = model.teach(batch.images, batch.text, batch.state, batch.targets.reasoning)
            percept, condition, words = taught.percept, taught.condition, taught.logits
        else:
            prompt = model.prefill(batch.images, batch.text, batch.state)
            percept, condition = prompt.percept, model.condition(prompt, None)
        trained = percept if percept.tokens.requires_grad else None
        return Understood(model.encode_condition(condition, batch.state), words, trained)
