"""Prismatic as a policy uses it: what stands where in the sequence, and ids of the canvas to ids of Llama's vocabulary.

The sequence is `[BOS][patches of each camera][state][prompt][29871][actions][EOS]`. Everything sees everything in the
released weights, the prompt the actions too; so all of it runs in every denoising step. The logits of an action are
those of the position before it, as in a model that reads from the left to the right: this is how it was trained.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from dvla_ros.actions.normalization import Normalizer
from dvla_ros.control.observation import Observation
from dvla_ros.denoising.canvas import Canvas
from dvla_ros.engine.cache_plan import EXACT
from dvla_ros.engine.graphs import StepGraphs
from dvla_ros.engine.sequence_run import SequenceRun, open_run
from dvla_ros.errors import ConfigurationError, ObservationError
from dvla_ros.models.attention import Block, Levels, attention_mask
from dvla_ros.models.head import TokenRows
from dvla_ros.models.key_value_cache import PrefixCache
from dvla_ros.models.prismatic import Prismatic
from dvla_ros.models.prismatic_projectors import ProprioProjector
from dvla_ros.policies.device_copy import to_device
from dvla_ros.preprocessing.openvla_prompt import EOS, SPACE

ATTENTIONS = ("full", "block_causal")
"""Who sees whom: `full` in the released weights; `block_causal` in weights of one's own whose prefix sees itself only.
"""

_PREFIX_LEVEL, _CANVAS_LEVEL = 0, 1


@dataclass(frozen=True)
class StateInput:
    """How the state becomes a token.

    Attributes:
        normalizer: Physical units to -1..1.
        projector: To an embedding.
    """

    normalizer: Normalizer
    projector: ProprioProjector

    def normalized(self, state: np.ndarray) -> Tensor:
        """A state `[S]` to float32 `[1, S]`; columns that are not normalised are clipped to -1..1 as well.

        Raises:
            ObservationError: Another length, or a number that is not finite.
        """
        if np.shape(state) != (self.normalizer.dim,) or not np.isfinite(state).all():
            raise ObservationError(f"The state must be {self.normalizer.dim} finite numbers, got {state}.")
        values = np.clip(self.normalizer.normalize(state), -1.0, 1.0)
        return torch.from_numpy(values).float()[None]


@dataclass(frozen=True)
class PrismaticInputs:
    """One observation as tensors on the device.

    Attributes:
        pixels: `[1, C, 6, h, w]`, normalised for both towers.
        prompt: int64 `[1, T]`, from BOS to the last token of the question, without the 29871 behind it.
        state: Normalised state `[1, S]`; None for a network that takes none.
    """

    pixels: Tensor
    prompt: Tensor
    state: Tensor | None


@dataclass(frozen=True)
class PrismaticContext:
    """What stands before the canvas, from BOS to the last token of the question.

    Attributes:
        embedded: `[1, P, W]`.
        run: The denoising steps behind it.
    """

    embedded: Tensor
    run: SequenceRun


class PrismaticNetwork:
    """A `BatchNetwork` and `Probed` of `Prismatic`.

    Args:
        model: With its weights, on one device.
        state: How the state becomes a token; None for a network that takes none.
        images: Images uint8 `[H, W, 3]` of all cameras to normalised channels `[C * 6, h, w]`.
        prompt: Instruction to the ids of the question, from BOS to 29871.
        cameras: Names, in the order of training.
        canvas: One segment `action` of 256 ids.
        attention: One of `ATTENTIONS`.

    Attributes:
        cache: See `TokenNetwork`.
        graphs: Likewise.

    Raises:
        ConfigurationError: `attention` is none of these.
    """

    def __init__(
        self,
        model: Prismatic,
        state: StateInput | None,
        images: Callable[[Sequence[np.ndarray]], Tensor],
        prompt: Callable[[str], Sequence[int]],
        cameras: tuple[str, ...],
        canvas: Canvas,
        attention: str = "full",
    ) -> None:
        if attention not in ATTENTIONS:
            raise ConfigurationError(f"attention must be one of {ATTENTIONS} for dd_vla, got {attention!r}.")
        self.model = model.eval()
        self.model.language_model.trunk.pack()
        self._state, self._images, self._prompt = state, images, prompt
        self._cameras, self._canvas, self._attention = cameras, canvas, attention
        self.cache = EXACT
        self.graphs: StepGraphs | None = None
        self._weight = model.language_model.embed_tokens.weight
        self._rows = TokenRows.of(model.config.action_ids)
        self._ids = self._on_device([*reversed(model.config.action_ids), model.config.mask_token])

    @property
    def canvas(self) -> Canvas:
        """See `TokenNetwork`."""
        return self._canvas

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self._weight.device

    @property
    def projector(self) -> nn.Module | None:
        """What turns the state into a token; None for a network that takes none."""
        return None if self._state is None else self._state.projector

    @property
    def prompt_sees_canvas(self) -> bool:
        """See `Probed`."""
        return self._attention == "full"

    def prepare(self, observation: Observation) -> PrismaticInputs:
        """See `TokenNetwork`."""
        if missing := [name for name in self._cameras if name not in observation.images]:
            raise ObservationError(f"The policy needs the cameras {self._cameras}; {missing} are missing.")
        if not observation.instruction.strip():
            raise ObservationError("The instruction is empty; say what to do, e.g. 'pick up the red cube'.")
        channels = self._images([observation.images[name] for name in self._cameras])
        pixels = self._moved(channels.unflatten(0, (len(self._cameras), -1))[None])
        state = None if self._state is None else self._moved(self._state.normalized(observation.state))
        question = self._on_device(self._prompt(observation.instruction)[:-1])
        return PrismaticInputs(pixels, question[None], state)

    def prefill(self, inputs: PrismaticInputs, frozen: np.ndarray) -> PrismaticContext:
        """See `TokenNetwork`; frozen rows are known to this network by their tokens alone."""
        language = self.model.language_model
        words = language.embed(inputs.prompt)
        parts = [words[:, :1], self.model.patches(inputs.pixels)]
        if self._state is not None:
            assert inputs.state is not None
            parts.append(self._state.projector(inputs.state)[:, None])
        embedded = torch.cat([*parts, words[:, 1:]], dim=1)
        if self.prompt_sees_canvas:
            settled, rest = PrefixCache(), embedded
        else:
            settled, rest = language.trunk.prefill(embedded), embedded[:, :0]
        return PrismaticContext(embedded, open_run(language.trunk, settled, rest, self.cache, self.graphs))

    def alike(self, inputs: PrismaticInputs) -> Hashable:
        """See `BatchNetwork`: those with as many words."""
        return inputs.prompt.shape[1]

    def prefill_batch(self, inputs: Sequence[PrismaticInputs], frozen: Sequence[np.ndarray]) -> PrismaticContext:
        """See `BatchNetwork`."""
        states = [each.state for each in inputs if each.state is not None]
        together = PrismaticInputs(
            torch.cat([each.pixels for each in inputs]),
            torch.cat([each.prompt for each in inputs]),
            torch.cat(states) if states else None,
        )
        return self.prefill(together, frozen[0])

    def logits(self, context: PrismaticContext, tokens: Tensor) -> Tensor:
        """See `TokenNetwork`."""
        hidden = context.run.hidden(self._embedded_canvas(tokens))[:, : self._canvas.length]
        logits: Tensor = self.model.language_model.lm_head(hidden, self._rows)
        return logits.flip(-1)  # ids fall while bins rise

    def token_table(self) -> Tensor:
        """See `TokenNetwork`."""
        return self.model.language_model.embed(self._ids[:-1])

    def imagined(self, context: PrismaticContext, tokens: np.ndarray) -> Mapping[str, np.ndarray]:
        """See `TokenNetwork`."""
        return {}

    def keypoints(self, context: PrismaticContext, row: int = 0) -> Mapping[str, np.ndarray]:
        """See `TokenNetwork`."""
        return {}

    def prompt_hidden(self, context: PrismaticContext, tokens: Tensor) -> Tensor:
        """See `Probed`."""
        run = self._embedded_canvas(tokens)
        prefix, total = context.embedded.shape[1], context.embedded.shape[1] + run.shape[1]
        levels = Levels.of([Block(prefix, _PREFIX_LEVEL), Block(total - prefix, _CANVAS_LEVEL)], run.device)
        whole = torch.cat([context.embedded.expand(len(run), -1, -1), run], dim=1)
        hidden: Tensor = self.model.language_model.trunk(whole, attention_mask(levels, self._attention))
        return hidden[:, prefix - 1]

    def _embedded_canvas(self, tokens: Tensor) -> Tensor:
        """29871, the canvas and EOS, `[B, 1 + L + 1, W]`."""
        own = self._ids[tokens]
        before, after = own.new_full((len(own), 1), SPACE), own.new_full((len(own), 1), EOS)
        return self.model.language_model.embed(torch.cat([before, own, after], dim=1))

    def _moved(self, values: Tensor) -> Tensor:
        return to_device(values, self.device, self._weight.dtype)

    def _on_device(self, ids: Sequence[int]) -> Tensor:
        return torch.tensor(ids, dtype=torch.int64, device=self.device)
