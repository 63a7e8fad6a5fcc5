"""UD-VLA's second half: images as tokens, what is seen now in the prefix and what will be seen in the canvas."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dvla_ros.denoising.canvas import FREE, Canvas
from dvla_ros.models.canvas_io import SegmentSizes
from dvla_ros.models.vq import VqTokenizer

FOLDER = "vq"
_BEGIN, _END = 0, 1  # after the codes: BOI and EOI


class Imagination:
    """Codes of the cameras' images, and the canvas segments in which the future ones are imagined.

    A segment is BOI, the codes row by row, EOI; BOI and EOI are prefilled (UD-VLA, section 3.2).

    Args:
        tokenizer: Images to codes.
        cameras: Camera names.
    """

    def __init__(self, tokenizer: VqTokenizer, cameras: tuple[str, ...]) -> None:
        self.tokenizer = tokenizer.eval()
        self._cameras = cameras

    @classmethod
    def from_checkpoint(cls, folder: Path, cameras: tuple[str, ...]) -> "Imagination":
        """Load the image tokenizer that lies beside a policy's weights.

        Raises:
            CheckpointError: It is missing or broken.
        """
        return cls(VqTokenizer.load(folder / FOLDER), cameras)

    @property
    def codebook(self) -> int:
        """Number of different codes."""
        return self.tokenizer.config.codebook_size

    def segments(self) -> tuple[SegmentSizes, ...]:
        """One segment of the canvas per camera."""
        count = self.tokenizer.config.tokens
        prefilled = (self.codebook + _BEGIN, *(FREE,) * count, self.codebook + _END)
        return tuple(
            SegmentSizes(_segment(c), 1, count + 2, self.codebook + 2, ordered=False, prefilled=prefilled, reserved=2)
            for c in self._cameras
        )

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Tokens int64 `[B, C * (n + 2)]` of all image segments that show these images.

        Args:
            images: uint8 `[B, C, 3, h, w]`; larger ones are averaged down.
        """
        flat = images.flatten(0, 1)
        size = (self.tokenizer.config.image_height, self.tokenizer.config.image_width)
        if tuple(flat.shape[-2:]) != size:
            flat = functional.interpolate(flat.float(), size=size, mode="area").round().to(torch.uint8)
        device = next(self.tokenizer.parameters()).device
        codes = self.tokenizer.encode(flat.to(device)).flatten(1).to(images.device)
        framed = functional.pad(
            functional.pad(codes, (1, 0), value=self.codebook + _BEGIN), (0, 1), value=self.codebook + _END
        )
        return framed.reshape(len(images), -1)

    @torch.no_grad()
    def images(self, tokens: np.ndarray, canvas: Canvas) -> dict[str, np.ndarray]:
        """Imagined images uint8 `[h, w, 3]` RGB of each camera.

        Args:
            tokens: int64 `[L]`, a complete canvas.
            canvas: Its layout.
        """
        spans = [canvas.span(_segment(camera)) for camera in self._cameras]
        codes = np.stack([tokens[span][1:-1] for span in spans])
        device = next(self.tokenizer.parameters()).device
        pictures = self.tokenizer.decode(torch.from_numpy(codes).long().to(device)).permute(0, 2, 3, 1).cpu().numpy()
        return dict(zip(self._cameras, pictures, strict=True))


def _segment(camera: str) -> str:
    return f"image_{camera}"
