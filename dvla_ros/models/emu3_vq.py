"""Emu3's vision tokenizer: a camera image to a grid of 32 768 codes and back, with the published weights.

The modules are those of `transformers`. A single image is to the published tokenizer a film of `frames` equal frames:
what does not look at time is run for one of them, and of the decoded film only the first frame is made.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.emu3.configuration_emu3 import Emu3VQVAEConfig
from transformers.models.emu3.modeling_emu3 import Emu3VQVAE

from dvla_ros.errors import CheckpointError, ObservationError
from dvla_ros.weights.names import Location

_GROUPS = 32  # of every GroupNorm

_RENAMED = (
    (re.compile(r"\b(down|up)_block\."), ""),
    (re.compile(r"\bmiddle_block\.attn_norm\."), "mid.attn_1.norm."),
    (re.compile(r"\bmiddle_block\."), "mid."),
    (re.compile(r"\battn_norms\.(\d+)\."), r"attn.\1.norm."),
    (re.compile(r"\b([qkv])_proj\."), r"\1."),
    (re.compile(r"\bout_proj\."), "proj_out."),
)
_ATTENTION_WEIGHT = re.compile(r"\b(q|k|v|proj_out)\.weight$")


@dataclass(frozen=True)
class Emu3VqConfig:
    """The keys of the tokenizer's published `config.json` that say its sizes.

    Attributes:
        ch: Channels of the first stage.
        ch_mult: Channels of each stage as multiples of `ch`; every stage but the last halves the image.
        num_res_blocks: Residual blocks in a stage.
        attn_resolutions: Stages with attention.
        codebook_size: Number of codes.
        embed_dim: Numbers in a code's vector.
        z_channels: Channels between encoder and codes, and between codes and decoder.
        temporal_downsample_factor: Frames that become one grid of codes.
        in_channels: Channels of the image that is read.
        out_channels: Channels of the image that is made.
        double_z: Whether the encoder would give twice `z_channels`; only false is published.

    Raises:
        CheckpointError: A size is unusable, or sizes do not go together.
    """

    ch: int = 256
    ch_mult: tuple[int, ...] = (1, 2, 2, 4)
    num_res_blocks: int = 2
    attn_resolutions: tuple[int, ...] = (3,)
    codebook_size: int = 32768
    embed_dim: int = 4
    z_channels: int = 4
    temporal_downsample_factor: int = 4
    in_channels: int = 3
    out_channels: int = 3
    double_z: bool = False

    def __post_init__(self) -> None:
        frames = self.temporal_downsample_factor
        stages = range(len(self.ch_mult))
        rules = (
            ("ch", self.ch > 0 and self.ch % _GROUPS == 0, f"a multiple of {_GROUPS}"),
            ("ch_mult", bool(self.ch_mult) and min(self.ch_mult) > 0, "positive numbers"),
            ("num_res_blocks", self.num_res_blocks > 0, "positive"),
            ("codebook_size", self.codebook_size > 0, "positive"),
            ("embed_dim", self.embed_dim > 0, "positive"),
            ("z_channels", self.z_channels == self.embed_dim, f"embed_dim = {self.embed_dim}"),
            ("temporal_downsample_factor", frames > 0 and frames & (frames - 1) == 0, "a power of two"),
            ("in_channels", self.in_channels == 3, "3"),
            ("out_channels", self.out_channels == 3, "3"),
            ("double_z", not self.double_z, "false"),
        )
        wrong = [f"{name} must be {rule}, got {getattr(self, name)}" for name, holds, rule in rules if not holds]
        for stage in self.attn_resolutions:
            if stage not in stages or self.ch_mult[stage] != self.ch_mult[-1]:
                wrong.append(f"attn_resolutions must name stages as wide as the last one, got {stage}")
        if wrong:
            raise CheckpointError(f"The vision tokenizer's config.json: {'; '.join(wrong)}.")

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Emu3VqConfig":
        """Read the published keys; what is not there has its published value.

        Raises:
            CheckpointError: A value has another type, is unusable, or the file is of another model.
        """
        if values.get("model_type") != "Emu3VisionVQ":
            raise CheckpointError(
                "The vision tokenizer's config.json must have the model_type Emu3VisionVQ, got "
                f"{values.get('model_type')!r}; copy the files of BAAI/Emu3-VisionTokenizer there."
            )
        return cls(**{field.name: _typed(field.name, values, field.default) for field in fields(cls)})

    @property
    def stride(self) -> int:
        """Pixels per code, both ways."""
        return int(2 ** (len(self.ch_mult) - 1))

    def as_transformers(self) -> Emu3VQVAEConfig:
        """The same in the words of `transformers`."""
        return Emu3VQVAEConfig(
            codebook_size=self.codebook_size,
            embed_dim=self.embed_dim,
            latent_channels=self.z_channels,
            temporal_downsample_factor=self.temporal_downsample_factor,
            base_channels=self.ch,
            channel_multiplier=list(self.ch_mult),
            num_res_blocks=self.num_res_blocks,
            attn_resolutions=list(self.attn_resolutions),
            hidden_size=self.ch * self.ch_mult[-1],
        )


class Emu3Vq(nn.Module):
    """Images to codes and codes to images.

    Run it in float32, as the published systems do: which code is nearest depends on small differences.
    """

    def __init__(self, config: Emu3VqConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Emu3VQVAE(config.as_transformers())
        self.eval()

    def train(self, mode: bool = True) -> "Emu3Vq":
        """As for every module, but the tokenizer is never trained: its batch norms keep their statistics."""
        return super().train(False)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Images float `[B, 3, h, w]` in -1..1 to codes int64 `[B, h / 8, w / 8]`.

        Raises:
            ObservationError: A side is no multiple of the stride, so that a last row or column would be lost.
        """
        stride = self.config.stride
        if images.shape[-2] % stride or images.shape[-1] % stride:
            raise ObservationError(
                f"Images for Emu3's tokenizer need sides that are multiples of {stride}, got {list(images.shape[-2:])}."
            )
        encoder = self.model.encoder
        x = encoder.middle_block(encoder.down_block(encoder.conv_in(images.to(self._dtype))))
        x = encoder.conv_out(functional.silu(encoder.norm_out(x)))
        x = x.unsqueeze(2).repeat(1, 1, self.config.temporal_downsample_factor, 1, 1)  # [B, z, frames, h, w]
        for conv in encoder.time_conv:
            x = functional.silu(conv(x))
        for block in encoder.time_res_stack:
            x = block(x)
        x = self.model.quant_conv(x).permute(0, 2, 1, 3, 4)
        return cast(Tensor, self.model.quantize(x)).squeeze(1)

    def encode_all(self, cameras: Sequence[Tensor]) -> list[Tensor]:
        """`encode` for the images of several cameras, those of one size together; in their order."""
        sizes: dict[torch.Size, list[int]] = {}
        for index, images in enumerate(cameras):
            sizes.setdefault(images.shape, []).append(index)
        codes: dict[int, Tensor] = {}
        for alike in sizes.values():
            found = self.encode(torch.cat([cameras[index] for index in alike]))
            codes |= zip(alike, found.chunk(len(alike)), strict=True)
        return [codes[index] for index in range(len(cameras))]

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Codes int64 `[B, h, w]` to images float `[B, 3, 8 h, 8 w]`, about -1..1."""
        decoder = self.model.decoder
        quantized = self.model.quantize.embedding(codes).permute(0, 3, 1, 2).unsqueeze(2)  # [B, e, 1, h, w]
        both = torch.cat([self.model.post_quant_conv(quantized), quantized])
        for block in decoder.time_res_stack:
            both = block(both)
        for conv in decoder.time_conv:
            both = functional.silu(conv(both))
        x, condition = both[:, :, 0].chunk(2)
        x = decoder.middle_block(decoder.conv_in(x), condition)
        x = decoder.norm_out(decoder.up_block(x, condition), condition)
        return cast(Tensor, decoder.conv_out(functional.silu(x)))

    @property
    def _dtype(self) -> torch.dtype:
        return cast(torch.dtype, self.model.encoder.conv_in.weight.dtype)


def locate_emu3_vq(name: str) -> Location:
    """Where a parameter or buffer of `Emu3Vq` lies in the published `model.safetensors`.

    Queries, keys, values and output of its attention are linear here and convolutions of one pixel there.
    """
    published = name.removeprefix("model.")
    for pattern, replacement in _RENAMED:
        published = pattern.sub(replacement, published)
    return Location(published, trailing_ones=2 if _ATTENTION_WEIGHT.search(published) else 0)


def _typed(name: str, values: Mapping[str, Any], default: Any) -> Any:
    value = values.get(name, default)
    if isinstance(default, tuple) and isinstance(value, (list, tuple)):
        value = tuple(value)
    inner = value if isinstance(value, tuple) else (value,)
    kind = bool if isinstance(default, bool) else int
    if isinstance(default, tuple) != isinstance(value, tuple) or any(type(item) is not kind for item in inner):
        raise CheckpointError(f"The vision tokenizer's config.json: {name} must be like {default!r}, got {value!r}.")
    return value
