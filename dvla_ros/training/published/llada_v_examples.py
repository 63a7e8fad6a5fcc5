"""Frames to the batches of LLaDA-V, LLaDA-VLA's network; on the CPU, in any process."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dvla_ros.policies.published.llada_v_images import TileCutter, Tiles
from dvla_ros.policies.published.llada_v_layout import LladaVSetup
from dvla_ros.training.batch import Targets
from dvla_ros.training.published.frames import TaughtFrame, images_of


@dataclass(frozen=True)
class LladaVExample:
    """One observation.

    Attributes:
        images: Tiles of each camera's image.
        before: Ids int64 `[L]` before the images.
        after: Those behind them.
    """

    images: tuple[Tiles, ...]
    before: Tensor
    after: Tensor


@dataclass(frozen=True)
class LladaVBatch:
    """B of them and what is to be answered; of all lengths, one behind the other.

    Attributes:
        tiles: `[T, 3, S, S]`, of all images of all observations.
        words: Ids int64 `[N]`: for each observation those before its images and those behind them.
        sizes: Tiles, width and height of each image, by observation.
        counts: Words before and behind the images, by observation.
        targets: See `ExampleBatch`.
        frozen: Likewise.
    """

    tiles: Tensor
    words: Tensor
    sizes: tuple[tuple[tuple[int, int, int], ...], ...]
    counts: tuple[tuple[int, int], ...]
    targets: Targets
    frozen: Tensor | None = None

    def __len__(self) -> int:
        return len(self.counts)


class LladaVReader:
    """Observations to examples, as `LladaVNetwork.prepare` reads them; there is no crop.

    Args:
        setup: The checkpoint.
    """

    def __init__(self, setup: LladaVSetup) -> None:
        self._cameras, self._prompt = setup.spec.cameras, setup.prompt
        form = setup.config.images
        form = form if len(self._cameras) == 1 else replace(form, aspect="pad")
        self._cut = TileCutter(form, setup.config.vision.image_size, setup.deployment.rotate_180)

    def __call__(self, frame: TaughtFrame) -> LladaVExample:
        """See `Reader`."""
        named = zip(images_of(frame.images, self._cameras), self._cameras, strict=True)
        images = tuple(self._cut(image, name) for image, name in named)
        words = self._prompt(frame.instruction.strip())
        return LladaVExample(images, torch.tensor(words.before_image), torch.tensor(words.after_image))

    def batch(self, examples: Sequence[LladaVExample], targets: Targets, frozen: Tensor | None = None) -> LladaVBatch:
        """See `Reader`."""
        return LladaVBatch(
            torch.cat([image.pixels for each in examples for image in each.images]),
            torch.cat([ids for each in examples for ids in (each.before, each.after)]),
            tuple(tuple((len(image.pixels), image.width, image.height) for image in each.images) for each in examples),
            tuple((len(each.before), len(each.after)) for each in examples),
            targets,
            frozen,
        )
