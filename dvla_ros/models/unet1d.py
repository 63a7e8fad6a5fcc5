"""The action head of DiffusionVLA: a U-Net along the chunk's time axis (Diffusion Policy, Chi et al. 2023)."""

from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.step_waves import WavePrecision, check_waves, unet_waves


@dataclass(frozen=True)
class Unet1DConfig:
    """Sizes of the U-Net; the defaults are DiffusionVLA's.

    Attributes:
        action_dim: Columns of a chunk, D.
        state_dim: Numbers of the robot's state, S; 0 for none.
        condition_width: Of the condition vector, W.
        down_dims: Channels of each level; every level but the last halves the time axis.
        kernel_size: Of the convolutions, odd.
        groups: Of the group norms; divides every level's channels.
        step_width: Of the diffusion step's embedding.
        wave_precision: `bfloat16` for weights trained with the released code.
    """

    action_dim: int
    state_dim: int
    condition_width: int = 1536
    down_dims: tuple[int, ...] = (256, 512, 1024)
    kernel_size: int = 5
    groups: int = 8
    step_width: int = 256
    wave_precision: WavePrecision = "float32"

    def __post_init__(self) -> None:
        if min(self.action_dim, self.condition_width, self.groups) < 1 or self.state_dim < 0:
            raise ConfigurationError(f"every size must be 1 or more (state_dim 0 or more), got {self}.")
        if not self.down_dims or any(channels < 1 or channels % self.groups for channels in self.down_dims):
            raise ConfigurationError(f"down_dims must be multiples of groups={self.groups}, got {self.down_dims}.")
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ConfigurationError(f"kernel_size must be odd, got {self.kernel_size}.")
        check_waves(self.step_width, self.wave_precision)

    @property
    def horizon_multiple(self) -> int:
        """What a chunk's number of rows must be a multiple of: the product of the strides."""
        return 2 ** (len(self.down_dims) - 1)

    def check_horizon(self, horizon: int) -> None:
        """Raise a ConfigurationError unless chunks of so many rows survive the halvings and doublings."""
        if horizon < 1 or horizon % self.horizon_multiple:
            raise ConfigurationError(
                f"A U-Net of {len(self.down_dims)} levels needs a horizon that is a multiple of "
                f"{self.horizon_multiple}, got {horizon}; pad the chunk or give fewer levels."
            )


class ConditionalUnet1D(nn.Module):
    """Predicts the noise in a chunk of actions; parameter names are those of the published checkpoints.

    `encode_condition` is for once per observation, `forward` for every diffusion step.
    """

    def __init__(self, config: Unet1DConfig) -> None:
        super().__init__()
        self.config = config
        dims, width = config.down_dims, config.condition_width
        self.norm_after_pool = nn.LayerNorm(width)
        self.combine = nn.Linear(width + config.state_dim, width)
        self.diffusion_step_encoder = _numbered_from_one(  # the published names count the waves as layer 0
            nn.Linear(config.step_width, 4 * config.step_width),
            nn.Mish(),
            nn.Linear(4 * config.step_width, config.step_width),
        )
        levels = list(pairwise((config.action_dim, *dims)))
        self.down_modules = nn.ModuleList(
            nn.ModuleList([*self._pair(before, after), Downsample(after) if depth < len(dims) else nn.Identity()])
            for depth, (before, after) in enumerate(levels, start=1)
        )
        self.mid_modules = self._pair(dims[-1], dims[-1])
        self.up_modules = nn.ModuleList(
            nn.ModuleList([*self._pair(2 * after, before), Upsample(before)]) for before, after in reversed(levels[1:])
        )
        self.final_conv = nn.Sequential(
            ConvBlock(dims[0], dims[0], config), nn.Conv1d(dims[0], config.action_dim, kernel_size=1)
        )

    def _pair(self, before: int, after: int) -> nn.ModuleList:
        return nn.ModuleList(
            [ConditionalBlock(before, after, self.config), ConditionalBlock(after, after, self.config)]
        )

    def encode_condition(self, pooled: Tensor, state: Tensor | None = None) -> Tensor:
        """Join what the language model says with the robot's state: combine(norm(pooled) ⊕ state).

        Args:
            pooled: Condition `[B, W]`, see `ReasoningFilm`.
            state: Normalised state `[B, S]`; None where the head has none.

        Returns:
            `[B, W]`, what `forward` takes.
        """
        normed = self.norm_after_pool(pooled)
        combined: Tensor = self.combine(normed if state is None else torch.cat([normed, state.to(normed)], dim=-1))
        return combined

    def forward(self, noisy: Tensor, timestep: Tensor, condition: Tensor) -> Tensor:
        """The noise in a chunk.

        Args:
            noisy: Noisy actions `[B, H, D]`.
            timestep: Diffusion step int64 `[B]`, 0 for nearly clean.
            condition: `[B, W]` from `encode_condition`.

        Returns:
            `[B, H, D]`.

        Raises:
            ConfigurationError: H is not a multiple of the strides.
        """
        self.config.check_horizon(noisy.shape[1])
        waves = unet_waves(timestep, self.config.step_width, self.config.wave_precision)
        condition = torch.cat([self.diffusion_step_encoder(waves.to(condition)), condition], dim=-1)
        x = noisy.transpose(1, 2)
        skipped = []
        for level in self.down_modules:
            first, second, shrink = level.children()
            x = second(first(x, condition), condition)
            skipped.append(x)
            x = shrink(x)
        for block in self.mid_modules:
            x = block(x, condition)
        for level in self.up_modules:  # as published, what the first level leaves behind is never asked for
            first, second, grow = level.children()
            x = torch.cat([x, skipped.pop()], dim=1)
            x = grow(second(first(x, condition), condition))
        noise: Tensor = self.final_conv(x).transpose(1, 2)
        return noise


def _numbered_from_one(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict((str(number), layer) for number, layer in enumerate(layers, start=1)))


class ConditionalBlock(nn.Module):
    """Two convolutions; between them the condition scales and shifts every channel; a residual around both."""

    def __init__(self, before: int, after: int, config: Unet1DConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([ConvBlock(before, after, config), ConvBlock(after, after, config)])
        self.cond_encoder = nn.Sequential(nn.Mish(), nn.Linear(config.step_width + config.condition_width, 2 * after))
        self.residual_conv = nn.Conv1d(before, after, kernel_size=1) if before != after else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """`x` `[B, before, H]`, step embedding ⊕ condition `[B, step_width + W]`, to `[B, after, H]`."""
        scale, shift = self.cond_encoder(condition).unsqueeze(-1).chunk(2, dim=1)
        modulated = self.blocks[0](x) * scale + shift
        out: Tensor = self.blocks[1](modulated) + self.residual_conv(x)
        return out


class ConvBlock(nn.Module):
    """Convolution that keeps the length, group norm, Mish."""

    def __init__(self, before: int, after: int, config: Unet1DConfig) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv1d(before, after, config.kernel_size, padding=config.kernel_size // 2),
            nn.GroupNorm(config.groups, after),
            nn.Mish(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """`[B, before, H]` to `[B, after, H]`."""
        out: Tensor = self.block(x)
        return out


class Downsample(nn.Module):
    """Halves the time axis."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, kernel_size=3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H]` to `[B, C, H / 2]`."""
        out: Tensor = self.conv(x)
        return out


class Upsample(nn.Module):
    """Doubles the time axis."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose1d(channels, channels, kernel_size=4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H]` to `[B, C, 2 H]`."""
        out: Tensor = self.conv(x)
        return out
