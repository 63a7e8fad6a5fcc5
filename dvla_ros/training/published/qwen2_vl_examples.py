"""Frames to the batches of Qwen2-VL with an action head, DiffusionVLA's network; on the CPU, in any process."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dvla_ros.errors import ObservationError
from dvla_ros.models.qwen2_vl import Question
from dvla_ros.models.qwen2_vl_positions import Grid, sequence_positions
from dvla_ros.models.rotary import text_positions
from dvla_ros.policies.published.qwen2_vl_layout import Qwen2VlSetup
from dvla_ros.preprocessing.qwen2_prompt import END
from dvla_ros.training.batch import Targets
from dvla_ros.training.published.frames import TaughtFrame, images_of
from dvla_ros.training.published.padded_run import padded

_BEFORE_ACTING = "Next action:"


@dataclass(frozen=True)
class Qwen2VlExample:
    """One observation.

    Attributes:
        question: The prompt.
        state: Normalised `[S]`; None for a head without.
    """

    question: Question
    state: Tensor | None


@dataclass(frozen=True)
class Qwen2VlBatch:
    """B of them and what is to be answered; P positions of prompts, R of answers.

    Attributes:
        ids: int64 `[B, P]`, padded on the left.
        prompt: bool `[B, P]`, False where that is padding.
        positions: int64 `[3, B, P + R]`; those behind the end of a shorter answer count on.
        patches: Of all images, `[N, C * T * p * p]`.
        grids: Patches of each image.
        state: `[B, S]`; None for a head without.
        targets: See `ExampleBatch`.
        frozen: Likewise.
    """

    ids: Tensor
    prompt: Tensor
    positions: Tensor
    patches: Tensor
    grids: tuple[Grid, ...]
    state: Tensor | None
    targets: Targets
    frozen: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)


class Qwen2VlReader:
    """Observations to examples, as `Qwen2VlNetwork.prepare` reads them.

    Args:
        setup: The checkpoint.
        cut_out: Whether the images come cut out already, by an augmentation.
    """

    def __init__(self, setup: Qwen2VlSetup, cut_out: bool = False) -> None:
        reader = setup.reader
        self._read = replace(reader, images=replace(reader.images, crop_ratio=1.0)) if cut_out else reader
        self._cameras, self._state, sizes = setup.spec.cameras, setup.state, setup.config.backbone
        self._image_token, self._merge = sizes.image_token, sizes.vision.spatial_merge_size

    def __call__(self, frame: TaughtFrame) -> Qwen2VlExample:
        """See `Reader`."""
        question = self._read(images_of(frame.images, self._cameras), frame.instruction)
        return Qwen2VlExample(question, self._normalized(np.asarray(frame.state, np.float64)))

    def batch(self, examples: Sequence[Qwen2VlExample], targets: Targets, frozen: Tensor | None = None) -> Qwen2VlBatch:
        """See `Reader`."""
        ids, padding = padded([each.question.ids for each in examples])
        answer = 0 if targets.reasoning is None else targets.reasoning.shape[1]
        positions = torch.stack([self._positions(each.question, ids.shape[1], answer) for each in examples], dim=1)
        states = [each.state for each in examples if each.state is not None]
        return Qwen2VlBatch(
            ids,
            torch.ones_like(ids, dtype=torch.bool) if padding is None else ~padding,
            positions,
            torch.cat([each.question.patches for each in examples]),
            tuple(grid for each in examples for grid in each.question.grids),
            torch.stack(states) if states else None,
            targets,
            frozen,
        )

    def _positions(self, question: Question, longest: int, answer: int) -> Tensor:
        own = sequence_positions(question.ids.tolist(), question.grids, self._image_token, self._merge)
        behind = text_positions(answer, int(own.max()) + 1)
        return functional.pad(torch.cat([own, behind], dim=1), (longest - own.shape[1], 0))

    def _normalized(self, state: np.ndarray) -> Tensor | None:
        if self._state is None:
            return None
        if state.shape != (self._state.dim,) or not np.isfinite(state).all():
            raise ObservationError(f"The state must be {self._state.dim} finite numbers, got {state}.")
        return torch.from_numpy(self._state.normalize(state)).float()


@dataclass(frozen=True)
class Qwen2Words:
    """What is said before acting: the reasoning, "Next action:" and the end of the turn, as DexVLA's code writes it.

    Attributes:
        setup: The checkpoint, whose tokenizer it is.
    """

    setup: Qwen2VlSetup

    def __call__(self, frame: TaughtFrame) -> list[int]:
        """See `Words`."""
        tokenizer = self.setup.reader.prompt.tokenizer
        return [*tokenizer.encode(frame.reasoning + _BEFORE_ACTING, add_special_tokens=False), END]
