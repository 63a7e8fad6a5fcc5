"""UD-VLA and DFM-VLA at their published size: Emu3 over text, image codes and the canvas."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dvla_ros.control.observation import Observation
from dvla_ros.denoising.canvas import Canvas
from dvla_ros.engine.cache_plan import EXACT
from dvla_ros.engine.graphs import StepGraphs
from dvla_ros.engine.sequence_run import SequenceRun, open_run
from dvla_ros.errors import ObservationError
from dvla_ros.models.attention import (
    ALL,
    Levels,
    attention_mask,
    prefix_is_exact,
    rows_that_differ,
    visibility,
)
from dvla_ros.models.emu3_vq import Emu3Vq
from dvla_ros.models.language_model import LanguageModel
from dvla_ros.models.trunk import PrefixCache
from dvla_ros.policies.device_copy import to_device
from dvla_ros.policies.published.emu3_sequence import Emu3Sequence
from dvla_ros.policies.token_system import ACTION
from dvla_ros.preprocessing.emu3_images import Emu3Images
from dvla_ros.preprocessing.emu3_tokenizer import BOA
from dvla_ros.preprocessing.rgb_image import require_rgb


@dataclass(frozen=True)
class Inputs:
    """One observation as tensors, or several with as many words: B of each.

    Attributes:
        text: Ids of Emu3 int64 `[B, T]`, BOS and the instruction.
        images: float32 `[B, 3, h, w]` in -1..1 of each camera.
    """

    text: Tensor
    images: tuple[Tensor, ...]


@dataclass(frozen=True)
class Context:
    """What does not depend on the canvas.

    Attributes:
        prompt: Embeddings `[1, P, W]` of all before the canvas.
        text_length: How many of its positions are text, T.
        levels: Of prompt and canvas.
        settled: How many leading positions see nothing behind them and are computed once.
        run: The denoising steps behind these.
        last: Hidden state `[1, 1, W]` of the prompt's last position where all of the prompt is cached, else None.
        mask: Who sees whom, of the positions that are not settled, where no step changes it; None where everybody sees
            everybody, or the steps do change it.
        masked: For how many of the last positions the steps change it.
    """

    prompt: Tensor
    text_length: int
    levels: Levels
    settled: int
    run: SequenceRun
    last: Tensor | None
    mask: Tensor | None
    masked: int


class Emu3Network:
    """A `BatchNetwork` and `Probed`; the parts are on one device and hold their weights.

    What no later position can change is computed once per observation: the text with `merged` attention, the text and
    the images of now with `block_causal` and `image_causal_first`, nothing with `full`. All else runs in every step. A
    position's logits come from the position before it, as Emu3 was trained.

    Where the images of the future are imagined, what stands behind the first EOA of a canvas is of a later block, see
    `Levels.ending_after`. DFM-VLA noises its actions, EOA among them, so that there an EOA ends nothing.

    Args:
        language_model: The weights of the checkpoint.
        vision: The image tokenizer, in float32.
        encode_text: An instruction to ids of Emu3, BOS first.
        images: Preprocessing of each camera.
        sequence: What stands where.
        attention: A variant of `models.attention`.
        longest: Positions that the checkpoint was trained for.

    Attributes:
        cache: See `TokenNetwork`.
        graphs: Likewise.
        vision: See above.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        vision: Emu3Vq,
        encode_text: Callable[[str], Sequence[int]],
        images: Sequence[Emu3Images],
        sequence: Emu3Sequence,
        attention: str,
        longest: int,
    ) -> None:
        self.cache = EXACT
        self.graphs: StepGraphs | None = None
        self.model = language_model.eval()
        self.vision = vision.eval()
        self._encode_text = encode_text
        self._images = tuple(images)
        self._sequence = sequence
        self._attention = attention
        self._longest = longest
        self._device = language_model.embed_tokens.weight.device
        self._ids = sequence.emu3_ids().to(self._device)
        self._segment_of = _segment_of_positions(sequence.canvas).to(self._device)
        self.model.trunk.pack()

    @property
    def canvas(self) -> Canvas:
        """The images of the future, where they are imagined, and the action chunk."""
        return self._sequence.canvas

    @property
    def attention(self) -> str:
        """Who sees whom, a variant of `models.attention`."""
        return self._attention

    @property
    def prompt_sees_canvas(self) -> bool:
        """Whether the images of now see the canvas, as with `merged` and `full`; words see it with `full` alone."""
        return not self._is_exact(prefix=1 + self._sequence.images_length, text_length=1)

    def prepare(self, observation: Observation) -> Inputs:
        """Ids of the sentence and pixels of every camera; see `TokenNetwork.prepare`."""
        cameras = [grid.camera for grid in self._sequence.grids]
        if missing := [name for name in cameras if name not in observation.images]:
            raise ObservationError(f"The policy needs the cameras {cameras}; {missing} are missing.")
        pixels = [
            to_device(chain(require_rgb(observation.images[name], f"Camera {name}")), self._device)[None]
            for name, chain in zip(cameras, self._images, strict=True)
        ]
        text = torch.tensor([self._text(observation.instruction)], device=self._device)
        return Inputs(text, tuple(pixels))

    def prefill(self, inputs: Inputs, frozen: np.ndarray) -> Context:
        """Images to codes, and what no step changes; frozen rows are not looked at."""
        ids = [inputs.text]
        for grid, codes in zip(self._sequence.grids, self.vision.encode_all(inputs.images), strict=True):
            ids.append(grid.segment_ids(codes))
        if not self._sequence.imagines:
            ids.append(inputs.text.new_tensor([[BOA]]).expand(len(inputs.text), -1))
        prompt = self.model.embed(torch.cat(ids, dim=1))
        text_length = inputs.text.shape[1]
        levels = Levels.of(self._sequence.blocks(text_length), self._device)
        settled = self._settled_positions(text_length)
        cache, last = self._cache(prompt[:, :settled], levels)
        whole = settled == prompt.shape[1]
        # The last position gives the first logits: where it is not settled it runs with the canvas.
        rest = prompt[:, settled:] if whole else prompt[:, settled:-1]
        run = open_run(self.model.trunk, cache, rest, self.cache, self.graphs)
        mask, masked = None, 0
        if not self._sequence.imagines:
            mask = attention_mask(levels, self._attention, slice(settled, None))
        elif self._attention != "full":  # with it an EOA hides nothing either
            masked = rows_that_differ(levels, self._attention, settled, self.canvas.segments[-1].length)
        return Context(prompt, text_length, levels, settled, run, last if whole else None, mask, masked)

    def alike(self, inputs: Inputs) -> Hashable:
        """See `BatchNetwork`: those with as many words."""
        return inputs.text.shape[1]

    def prefill_batch(self, inputs: Sequence[Inputs], frozen: Sequence[np.ndarray]) -> Context:
        """See `BatchNetwork`."""
        cameras = zip(*(each.images for each in inputs), strict=True)
        text = torch.cat([each.text for each in inputs])
        return self.prefill(Inputs(text, tuple(torch.cat(images) for images in cameras)), frozen[0])

    def logits(self, context: Context, tokens: Tensor) -> Tensor:
        """Logits `[B, L, V]`; -inf where a segment has no such id or may not choose it."""
        parts = self._hidden_before(context, tokens).split([s.length for s in self.canvas.segments], dim=1)
        named = zip(self.canvas.segments, parts, strict=True)
        return torch.cat([self._head(segment.name, part) for segment, part in named], dim=1)

    def token_table(self) -> Tensor:
        """Embeddings float32 `[V, W]` of the action's ids; see `TokenNetwork.token_table`."""
        segment = self.canvas.segments[-1]
        table = self.model.embed(self._ids[-1, : segment.vocabulary]).float()
        return torch.cat([table, table[-1:].expand(self.canvas.vocabulary - len(table), -1)])

    def imagined(self, context: Context, tokens: np.ndarray) -> dict[str, np.ndarray]:
        """uint8 `[h, w, 3]` RGB of each camera's future image.

        What a decoder wrote around the codes does not matter, and where it wrote something else in place of a code the
        first code is shown.
        """
        if not self._sequence.imagines:
            return {}
        pictures = {}
        for grid, chain in zip(self._sequence.grids, self._images, strict=True):
            codes = self._sequence.codes_on_canvas(grid, torch.from_numpy(tokens)).to(self._device)
            pictures[grid.camera] = chain.to_image(self.vision.decode(codes[None])[0])
        return pictures

    def keypoints(self, context: Context, row: int = 0) -> dict[str, np.ndarray]:
        """Emu3 has none."""
        return {}

    def prompt_hidden(self, context: Context, tokens: Tensor) -> Tensor:
        """Last hidden state `[B, W]` where the images of now end; everything is run, without a cache."""
        x = self._joined(context.prompt, tokens)
        mask = None if self._attention == "full" else self._visible(context, tokens)
        hidden: Tensor = self.model.trunk(x, mask)
        return hidden[:, context.text_length + self._sequence.images_length - 1]

    def _text(self, instruction: str) -> list[int]:
        if not instruction.strip():
            raise ObservationError("The instruction is empty; say what to do, e.g. 'pick up the red cube'.")
        ids = list(self._encode_text(instruction))
        if (length := self._sequence.length(len(ids))) > self._longest:
            room = self._longest - self._sequence.length(0)
            raise ObservationError(
                f"The instruction takes {len(ids)} tokens and there is room for {room}: with it the sequence has "
                f"{length} positions, and the checkpoint was trained for {self._longest}. Say it in fewer words."
            )
        return ids

    def _settled_positions(self, text_length: int) -> int:
        """How many leading positions see nothing behind them: text and images, or the text, or none."""
        candidates = (text_length + self._sequence.images_length, text_length)
        return next((length for length in candidates if self._is_exact(length, text_length)), 0)

    def _is_exact(self, prefix: int, text_length: int) -> bool:
        return prefix_is_exact(Levels.of(self._sequence.blocks(text_length)), self._attention, prefix)

    def _cache(self, prefix: Tensor, levels: Levels) -> tuple[PrefixCache, Tensor | None]:
        if prefix.shape[1] == 0:
            return PrefixCache(), None
        within = slice(0, prefix.shape[1])
        mask = attention_mask(levels, self._attention, within, within)
        hidden, cache = self.model.trunk.extend(prefix, PrefixCache(), mask)
        return cache, hidden[:, -1:]

    def _hidden_before(self, context: Context, tokens: Tensor) -> Tensor:
        """Hidden states `[B, L, W]` of the position before each of the canvas'."""
        mask = self._visible(context, tokens, slice(-context.masked, None)) if context.masked else context.mask
        if context.last is None:
            return context.run.hidden(self._joined(context.prompt[:, -1:], tokens), mask)[:, :-1]
        hidden = context.run.hidden(self._joined(context.prompt[:, :0], tokens), mask)
        return torch.cat([context.last.expand(len(tokens), -1, -1), hidden[:, :-1]], dim=1)

    def _joined(self, prompt: Tensor, tokens: Tensor) -> Tensor:
        canvas = self.model.embed(self._ids[self._segment_of, tokens])
        return torch.cat([prompt.expand(len(tokens), -1, -1), canvas], dim=1)

    def _visible(self, context: Context, tokens: Tensor, queries: slice = ALL) -> Tensor:
        """Who sees whom with these canvases, bool `[Lq, L]` or `[B, Lq, L]` over the whole sequence."""
        levels = context.levels
        if self._sequence.imagines:
            ends = (tokens == self._sequence.eoa) & (self._segment_of == len(self.canvas.segments) - 1)
            levels = levels.ending_after(functional.pad(ends, (context.prompt.shape[1], 0)))
        return visibility(levels, self._attention, queries)

    def _head(self, segment: str, hidden: Tensor) -> Tensor:
        if segment == ACTION:
            own = self._sequence.action_logits(self.model.lm_head(hidden, self._sequence.action_rows))
        else:
            own = self.model.lm_head(hidden, self._sequence.image_rows)
        missing = self.canvas.vocabulary - own.shape[-1]
        return functional.pad(own, (0, missing), value=-torch.inf) if missing else own


def _segment_of_positions(canvas: Canvas) -> Tensor:
    """Number of each position's segment, int64 `[L]`."""
    lengths = torch.tensor([segment.length for segment in canvas.segments])
    return torch.arange(len(lengths)).repeat_interleave(lengths)
