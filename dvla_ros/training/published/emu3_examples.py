"""Frames to the batches of Emu3, the network of UD-VLA and DFM-VLA; on the CPU, in any process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dvla_ros.errors import ObservationError, RecordingError
from dvla_ros.policies.published.emu3_layout import Emu3Setup
from dvla_ros.preprocessing.rgb_image import require_rgb
from dvla_ros.training.batch import Targets
from dvla_ros.training.published.frames import TaughtFrame, images_of
from dvla_ros.training.published.padded_run import padded


@dataclass(frozen=True)
class Emu3Example:
    """One observation.

    Attributes:
        text: Ids int64 `[T]`, BOS and the instruction.
        images: float32 `[3, h, w]` in -1..1, by camera.
        futures: Likewise, after the chunk; none for a system that imagines nothing.
    """

    text: Tensor
    images: Mapping[str, Tensor]
    futures: Mapping[str, Tensor]


@dataclass(frozen=True)
class Emu3Batch:
    """B of them and what is to be answered.

    Attributes:
        text: int64 `[B, T]`, padded on the left.
        padding: bool `[B, T]`; None where all are of one length.
        images: `[B, 3, h, w]` by camera; none once there are codes.
        futures: Likewise.
        codes: Ids of Emu3 int64 `[B, I]` of the images of now, once the image tokenizer has made them.
        targets: See `ExampleBatch`; with imagined images the tokens are whole canvases once there are codes, before
            that they are those of the action slots.
        frozen: Likewise.
    """

    text: Tensor
    padding: Tensor | None
    images: Mapping[str, Tensor]
    futures: Mapping[str, Tensor]
    codes: Tensor | None
    targets: Targets
    frozen: Tensor | None = None

    def __len__(self) -> int:
        return len(self.text)


class Emu3Reader:
    """Observations to examples, as `Emu3Network.prepare` reads them; there is no crop.

    Args:
        setup: The checkpoint.
    """

    def __init__(self, setup: Emu3Setup) -> None:
        self._encode_text, self._sequence, self._longest = setup.prompt, setup.sequence, setup.language.longest
        self._chains = {grid.camera: chain for grid, chain in zip(setup.sequence.grids, setup.images, strict=True)}

    def __call__(self, frame: TaughtFrame) -> Emu3Example:
        """See `Reader`.

        Raises:
            RecordingError: Also where a frame has no images of the future, and the system learns these.
        """
        futures: Mapping[str, Tensor] = {}
        if self._sequence.imagines:
            if frame.futures is None:
                raise RecordingError(
                    "UD-VLA learns what the cameras see after the chunk, and this recording has no such images; "
                    "convert it again with them."
                )
            futures = self._pixels(frame.futures)
        return Emu3Example(self._text(frame.instruction), self._pixels(frame.images), futures)

    def batch(self, examples: Sequence[Emu3Example], targets: Targets, frozen: Tensor | None = None) -> Emu3Batch:
        """See `Reader`."""
        text, padding = padded([each.text for each in examples])
        images = {name: torch.stack([each.images[name] for each in examples]) for name in self._chains}
        futures = {name: torch.stack([each.futures[name] for each in examples]) for name in examples[0].futures}
        return Emu3Batch(text, padding, images, futures, None, targets, frozen)

    def _pixels(self, images: Mapping[str, object]) -> dict[str, Tensor]:
        seen = images_of(images, list(self._chains))  # type: ignore[arg-type]
        named = zip(self._chains.items(), seen, strict=True)
        return {name: chain(require_rgb(image, f"Camera {name}")) for (name, chain), image in named}

    def _text(self, instruction: str) -> Tensor:
        ids = list(self._encode_text(instruction))
        if (length := self._sequence.length(len(ids))) > self._longest:
            raise ObservationError(
                f"The instruction takes {len(ids)} tokens, with it the sequence has {length} positions, and the "
                f"checkpoint was trained for {self._longest}. Say it in fewer words: {instruction!r}."
            )
        return torch.tensor(ids)
