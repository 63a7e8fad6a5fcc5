"""A small VQ image tokenizer: a camera image to a grid of discrete codes and back.

UD-VLA speaks of images in the codes of Emu3's vision tokenizer (÷8, 32 768 codes of 4 numbers, about 270 M parameters).
This one is our own design for the small policies: the same ÷8 grid, a few hundred codes, about a million parameters, so
that an imagined image costs a CPU milliseconds.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from dvla_ros.errors import CheckpointError, ConfigurationError, ObservationError
from dvla_ros.models.codebook import Codebook

WEIGHTS, CONFIG = "vq.safetensors", "vq.json"
STRIDE = 8
"""Pixels per code, both ways."""
_GROUPS = 8
_HALF_RANGE = 127.5


@dataclass(frozen=True)
class VqConfig:
    """Sizes of the tokenizer.

    Attributes:
        image_width: Pixels; a multiple of 8.
        image_height: Pixels; a multiple of 8.
        codebook_size: Number of codes, K.
        code_dim: Numbers per code, d.
        widths: Channels at a half, a quarter and an eighth of the resolution; multiples of 8.
    """

    image_width: int = 64
    image_height: int = 48
    codebook_size: int = 512
    code_dim: int = 8
    widths: tuple[int, int, int] = (32, 64, 96)

    def __post_init__(self) -> None:
        for name in ("image_width", "image_height"):
            if getattr(self, name) % STRIDE or getattr(self, name) <= 0:
                raise ConfigurationError(f"{name} must be a positive multiple of {STRIDE}, got {getattr(self, name)}.")
        if self.codebook_size < 2 or self.code_dim < 2:
            raise ConfigurationError(
                f"codebook_size and code_dim must be 2 or more, got {self.codebook_size} and {self.code_dim}."
            )
        if len(self.widths) != 3 or any(width <= 0 or width % _GROUPS for width in self.widths):
            raise ConfigurationError(f"widths must be three positive multiples of {_GROUPS}, got {self.widths}.")

    @property
    def rows(self) -> int:
        """Rows of the code grid."""
        return self.image_height // STRIDE

    @property
    def columns(self) -> int:
        """Columns of the code grid."""
        return self.image_width // STRIDE

    @property
    def tokens(self) -> int:
        """Codes per image."""
        return self.rows * self.columns


@dataclass(frozen=True)
class Reconstruction:
    """What the tokenizer made of images, for training.

    Attributes:
        pixels: float `[B, 3, h, w]`, 0..255 scaled to -1..1, not clipped.
        vectors: Unit vectors `[N, d]` before quantisation, N = B · rows · columns.
        codes: Their codes `[N]`.
        commitment: Mean squared distance between the vectors and their codes; moves the encoder only.
    """

    pixels: Tensor
    vectors: Tensor
    codes: Tensor
    commitment: Tensor


class ResidualBlock(nn.Module):
    """x + two normalised 3×3 convolutions of x."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(_GROUPS, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(_GROUPS, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """`[B, width, h, w]` to the same."""
        result: Tensor = features + self.body(features)
        return result


def _encoder(config: VqConfig) -> nn.Sequential:
    fine, middle, coarse = config.widths
    return nn.Sequential(
        nn.PixelUnshuffle(2),
        nn.Conv2d(12, fine, 3, padding=1),
        ResidualBlock(fine),
        nn.Conv2d(fine, middle, 3, stride=2, padding=1),
        ResidualBlock(middle),
        nn.Conv2d(middle, coarse, 3, stride=2, padding=1),
        ResidualBlock(coarse),
        ResidualBlock(coarse),
        nn.GroupNorm(_GROUPS, coarse),
        nn.Conv2d(coarse, config.code_dim, 1),
    )


class Decoder(nn.Module):
    """Code vectors to pixels. It knows where in the image a code lies: cameras are fixed, so codes need not say it."""

    def __init__(self, config: VqConfig) -> None:
        super().__init__()
        fine, middle, coarse = config.widths
        self.enter = nn.Conv2d(config.code_dim, coarse, 3, padding=1)
        self.place = nn.Parameter(torch.zeros(coarse, config.rows, config.columns))
        self.body = nn.Sequential(
            ResidualBlock(coarse),
            ResidualBlock(coarse),
            nn.Conv2d(coarse, 4 * middle, 1),
            nn.PixelShuffle(2),
            ResidualBlock(middle),
            nn.Conv2d(middle, 4 * fine, 1),
            nn.PixelShuffle(2),
            ResidualBlock(fine),
            nn.GroupNorm(_GROUPS, fine),
            nn.SiLU(),
            nn.Conv2d(fine, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, vectors: Tensor) -> Tensor:
        """`[B, d, rows, columns]` to `[B, 3, h, w]`."""
        pixels: Tensor = self.body(self.enter(vectors) + self.place)
        return pixels


class VqTokenizer(nn.Module):
    """Images to codes and back."""

    def __init__(self, config: VqConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _encoder(config)
        self.decoder = Decoder(config)
        self.codebook = Codebook(config.codebook_size, config.code_dim)

    def forward(self, images: Tensor) -> Reconstruction:
        """Encode, quantise (gradients pass straight through) and decode images `[B, 3, h, w]` in 0..255."""
        vectors = self._vectors(images)
        flat = vectors.flatten(0, 2)
        codes = self.codebook.nearest(flat.detach())
        quantised = self.codebook.vectors[codes]
        straight = (flat + (quantised - flat).detach()).view_as(vectors)
        return Reconstruction(
            pixels=self.decoder(straight.permute(0, 3, 1, 2)).float(),
            vectors=flat.detach(),
            codes=codes,
            commitment=(flat - quantised).square().sum(dim=-1).mean(),
        )

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Codes int64 `[B, rows, columns]` of uint8 or float RGB images `[B, 3, h, w]` in 0..255.

        Raises:
            ObservationError: The images have another shape.
        """
        vectors = self._vectors(images)
        return self.codebook.nearest(vectors.flatten(0, 2)).view(vectors.shape[:3])

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """RGB images uint8 `[B, 3, h, w]` of codes int64 `[B, rows, columns]` or `[B, rows · columns]` row by row.

        Raises:
            ObservationError: The codes have another shape or type, or one is not in the codebook.
        """
        self._check_codes(codes)
        grid = codes.reshape(-1, self.config.rows, self.config.columns)
        pixels = self.decoder(self.codebook.vectors[grid].permute(0, 3, 1, 2))
        return ((pixels + 1.0) * _HALF_RANGE).round().clamp(0.0, 255.0).to(torch.uint8)

    def _vectors(self, images: Tensor) -> Tensor:
        """Unit vectors `[B, rows, columns, d]`."""
        expected = (3, self.config.image_height, self.config.image_width)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected:
            raise ObservationError(f"The tokenizer needs images [B, {expected}], got shape {list(images.shape)}.")
        features: Tensor = self.encoder(scale_pixels(images)).float()
        return functional.normalize(features.permute(0, 2, 3, 1), dim=-1)

    def _check_codes(self, codes: Tensor) -> None:
        rows, columns, size = self.config.rows, self.config.columns, self.config.codebook_size
        if tuple(codes.shape[1:]) not in ((rows, columns), (rows * columns,)) or codes.dtype != torch.int64:
            raise ObservationError(
                f"Image codes must be int64 [B, {rows}, {columns}] or [B, {rows * columns}], got {codes.dtype} "
                f"{list(codes.shape)}."
            )
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < size:
            raise ObservationError(
                f"Image codes must be 0..{size - 1}, got {int(codes.min())}..{int(codes.max())}; is a mask left?"
            )

    def save(self, folder: Path) -> None:
        """Write or overwrite `vq.safetensors` and `vq.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, folder / WEIGHTS)
        (folder / CONFIG).write_text(json.dumps(asdict(self.config), indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "VqTokenizer":
        """Read a saved tokenizer, ready to encode and decode.

        Raises:
            CheckpointError: A file is missing or broken, or weights and sizes do not fit each other.
        """
        tokenizer = cls(_read_config(folder))
        path = folder / WEIGHTS
        if not path.is_file():
            raise CheckpointError(f"{folder} has no {WEIGHTS}; it may be an unfinished tokenizer.")
        try:
            tokenizer.load_state_dict(load_file(path))
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path} cannot be read: {error}") from error
        except RuntimeError as error:
            raise CheckpointError(f"{path} does not fit {CONFIG}: {error}") from error
        return tokenizer.eval()


def scale_pixels(images: Tensor) -> Tensor:
    """0..255 to -1..1, as float."""
    return images.float() / _HALF_RANGE - 1.0


def _read_config(folder: Path) -> VqConfig:
    path = folder / CONFIG
    if not path.is_file():
        raise CheckpointError(f"{folder} holds no image tokenizer: it has no {CONFIG}; make one with `dvla train-vq`.")
    try:
        values: dict[str, Any] = json.loads(path.read_text())
        sizes: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return VqConfig(**sizes)
    except (json.JSONDecodeError, TypeError, AttributeError, ConfigurationError) as error:
        raise CheckpointError(f"{path}: {error}") from error
