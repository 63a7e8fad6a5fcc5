"""Frames to the batches of Prismatic, Discrete Diffusion VLA's network; on the CPU, in any process."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from dvla_ros.errors import ObservationError
from dvla_ros.policies.published.prismatic_layout import PrismaticSetup
from dvla_ros.training.batch import Targets
from dvla_ros.training.published.frames import TaughtFrame, images_of
from dvla_ros.training.published.padded_run import padded


@dataclass(frozen=True)
class PrismaticExample:
    """One observation.

    Attributes:
        pixels: `[C, 6, h, w]`, normalised for both towers.
        question: int64 `[T]`, from the token behind BOS to the last one of the question, without 29871.
        state: Normalised `[S]`; None for a network that takes none.
    """

    pixels: Tensor
    question: Tensor
    state: Tensor | None


@dataclass(frozen=True)
class PrismaticBatch:
    """B of them and what is to be answered.

    Attributes:
        pixels: `[B, C, 6, h, w]`.
        question: int64 `[B, T]`, padded on the left.
        padding: bool `[B, T]`; None where all questions are of one length.
        state: `[B, S]`; None for a network that takes none.
        targets: See `ExampleBatch`.
        frozen: Likewise.
    """

    pixels: Tensor
    question: Tensor
    padding: Tensor | None
    state: Tensor | None
    targets: Targets
    frozen: Tensor | None = None

    def __len__(self) -> int:
        return len(self.pixels)


class PrismaticReader:
    """Observations to examples, as `PrismaticNetwork.prepare` reads them.

    Args:
        setup: The checkpoint.
        cut_out: Whether the images come cut out already, by an augmentation; the middle is then not cut out of them.
    """

    def __init__(self, setup: PrismaticSetup, cut_out: bool = False) -> None:
        settings = setup.images.settings
        self._images = replace(setup.images, settings=replace(settings, center_crop=False)) if cut_out else setup.images
        self._prompt, self._state, self._cameras = setup.prompt, setup.state, setup.spec.cameras

    def __call__(self, frame: TaughtFrame) -> PrismaticExample:
        """See `Reader`.

        Raises:
            ObservationError: A camera is missing, or the state or the instruction is not usable.
        """
        channels = self._images(images_of(frame.images, self._cameras))
        _, *question, _ = self._prompt(frame.instruction)
        pixels = channels.unflatten(0, (len(self._cameras), -1))
        return PrismaticExample(pixels, torch.tensor(question), self._normalized(frame.state))

    def batch(
        self, examples: Sequence[PrismaticExample], targets: Targets, frozen: Tensor | None = None
    ) -> PrismaticBatch:
        """See `Reader`."""
        question, padding = padded([each.question for each in examples])
        states = [each.state for each in examples if each.state is not None]
        pixels = torch.stack([each.pixels for each in examples])
        return PrismaticBatch(pixels, question, padding, torch.stack(states) if states else None, targets, frozen)

    def _normalized(self, state: np.ndarray) -> Tensor | None:
        if self._state is None:
            return None
        if np.shape(state) != (self._state.dim,) or not np.isfinite(state).all():
            raise ObservationError(f"The state must be {self._state.dim} finite numbers, got {state}.")
        return torch.from_numpy(np.clip(self._state.normalize(state), -1.0, 1.0)).float()
