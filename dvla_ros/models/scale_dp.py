"""The action head of DexVLA: a diffusion transformer over the rows of a chunk (ScaleDP; DiT, Peebles & Xie 2023)."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.step_waves import WavePrecision, check_waves, dit_waves

_WAVES = 256
_EPSILON = 1e-6


class ScaleDPSize(NamedTuple):
    """Depth, width and heads of a published size."""

    depth: int
    width: int
    heads: int


SIZES = {
    "ScaleDP_H": ScaleDPSize(depth=32, width=1280, heads=16),
    "ScaleDP_L": ScaleDPSize(depth=24, width=1024, heads=16),
}
"""The published sizes by the names in their checkpoints: about 1 billion and 0.4 billion parameters."""


@dataclass(frozen=True)
class ScaleDPConfig:
    """Sizes of the transformer.

    Attributes:
        action_dim: Columns of a chunk, D.
        state_dim: Numbers of the robot's state, S; 0 for none.
        horizon: Rows of a chunk, H.
        condition_width: Of the condition vector, W.
        depth: Blocks.
        width: Of a row's embedding.
        heads: Attention heads.
        mlp_ratio: Hidden units of the feed-forward layers per unit of width.
        combine_width: Hidden units of what joins condition and state.
        norm_after_pool: Whether the condition is normalised first; only the published variant that pools the language
            model's hidden states itself (`is_tinyvla`) does.
        wave_precision: `bfloat16` for weights trained with the released code.
    """

    action_dim: int
    state_dim: int
    horizon: int = 16
    condition_width: int = 1536
    depth: int = 32
    width: int = 1280
    heads: int = 16
    mlp_ratio: int = 4
    combine_width: int = 1024
    norm_after_pool: bool = False
    wave_precision: WavePrecision = "float32"

    def __post_init__(self) -> None:
        sizes = (self.action_dim, self.horizon, self.condition_width, self.depth, self.width, self.heads)
        if min(*sizes, self.mlp_ratio, self.combine_width) < 1 or self.state_dim < 0:
            raise ConfigurationError(f"every size must be 1 or more (state_dim 0 or more), got {self}.")
        if self.width % self.heads:
            raise ConfigurationError(f"width must be a multiple of heads, got {self.width} and {self.heads}.")
        check_waves(_WAVES, self.wave_precision)

    @classmethod
    def of_size(cls, name: str, **others: Any) -> "ScaleDPConfig":
        """A published size, with the other fields as given.

        Raises:
            ConfigurationError: There is no such size.
        """
        if name not in SIZES:
            raise ConfigurationError(f"Unknown size {name!r} of ScaleDP; choose one of {sorted(SIZES)}.")
        return cls(**SIZES[name]._asdict(), **others)


class ScaleDP(nn.Module):
    """Predicts the noise in a chunk of actions; parameter names are those of the published checkpoints.

    adaLN-Zero: every block starts as the identity and the last layer at zero, so that a fresh head predicts no noise.
    `encode_condition` is for once per observation, `forward` for every diffusion step.
    """

    def __init__(self, config: ScaleDPConfig) -> None:
        super().__init__()
        self.config = config
        width, condition = config.width, config.condition_width
        self.norm_after_pool = nn.LayerNorm(condition) if config.norm_after_pool else nn.Identity()
        self.combine = nn.Sequential(
            nn.Linear(condition + config.state_dim, config.combine_width),
            nn.ReLU(),
            nn.Linear(config.combine_width, config.combine_width),
            nn.ReLU(),
            nn.Linear(config.combine_width, condition),
        )
        self.cond_obs_emb = nn.Linear(condition, width)
        self.x_embedder = nn.Linear(config.action_dim, width)
        self.t_embedder = StepEmbedding(width, config.wave_precision)
        self.pos_embed = nn.Parameter(torch.zeros(1, config.horizon, width))
        self.blocks = nn.ModuleList(AdaptiveBlock(config) for _ in range(config.depth))
        self.final_layer = FinalLayer(width, config.action_dim)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        step_weights = (parameter for parameter in self.t_embedder.parameters() if parameter.dim() == 2)
        for weight in (self.pos_embed, self.cond_obs_emb.weight, *step_weights):
            nn.init.normal_(weight, std=0.02)
        for modulated in (*self.blocks, self.final_layer):
            nn.init.zeros_(modulated.adaLN_modulation[1].weight)
        nn.init.zeros_(self.final_layer.linear.weight)

    def encode_condition(self, pooled: Tensor, state: Tensor | None = None) -> Tensor:
        """Join what the language model says with the robot's state.

        Args:
            pooled: Condition `[B, W]`, see `ReasoningFilm`.
            state: Normalised state `[B, S]`; None where the head has none.

        Returns:
            `[B, width]`, what `forward` takes.
        """
        normed = self.norm_after_pool(pooled)
        combined = self.combine(normed if state is None else torch.cat([normed, state.to(normed)], dim=-1))
        embedded: Tensor = self.cond_obs_emb(combined)
        return embedded

    def forward(self, noisy: Tensor, timestep: Tensor, condition: Tensor) -> Tensor:
        """The noise in a chunk.

        Args:
            noisy: Noisy actions `[B, H, D]`.
            timestep: Diffusion step int64 `[B]`, 0 for nearly clean.
            condition: `[B, width]` from `encode_condition`.

        Returns:
            `[B, H, D]`.

        Raises:
            ConfigurationError: H is not the horizon that the head was made for.
        """
        if noisy.shape[1] != self.config.horizon:
            raise ConfigurationError(f"This head was made for {self.config.horizon} rows, got {noisy.shape[1]}.")
        condition = self.t_embedder(timestep) + condition
        x = self.x_embedder(noisy) + self.pos_embed
        for block in self.blocks:
            x = block(x, condition)
        noise: Tensor = self.final_layer(x, condition)
        return noise


class StepEmbedding(nn.Module):
    """Diffusion step to a vector."""

    def __init__(self, width: int, precision: WavePrecision) -> None:
        super().__init__()
        self.precision = precision
        self.mlp = nn.Sequential(nn.Linear(_WAVES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, timestep: Tensor) -> Tensor:
        """int64 `[B]` to `[B, width]`."""
        waves = dit_waves(timestep, _WAVES, self.precision)
        embedded: Tensor = self.mlp(waves.to(next(self.mlp.parameters()).dtype))
        return embedded


class AdaptiveBlock(nn.Module):
    """Self-attention and feed-forward, each with shift, scale and gate from the condition."""

    def __init__(self, config: ScaleDPConfig) -> None:
        super().__init__()
        width = config.width
        self.attn = Attention(width, config.heads)
        self.mlp = FeedForward(width, config.mlp_ratio * width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """`x` `[B, H, width]`, condition `[B, width]`."""
        modulation = self.adaLN_modulation(condition).unsqueeze(1).chunk(6, dim=-1)
        shift_attn, scale_attn, gate_attn, shift_mlp, scale_mlp, gate_mlp = modulation
        x = x + gate_attn * self.attn(_modulated_norm(x, shift_attn, scale_attn))
        out: Tensor = x + gate_mlp * self.mlp(_modulated_norm(x, shift_mlp, scale_mlp))
        return out


class Attention(nn.Module):
    """Every row of the chunk sees every other."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, H, width]` to the same."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        out: Tensor = self.proj(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2))
        return out


class FeedForward(nn.Module):
    """Linear, GELU (tanh form), linear."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, H, width]` to the same."""
        out: Tensor = self.fc2(functional.gelu(self.fc1(x), approximate="tanh"))
        return out


class FinalLayer(nn.Module):
    """Shift and scale from the condition, then back to actions."""

    def __init__(self, width: int, action_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, action_dim)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """`x` `[B, H, width]`, condition `[B, width]`, to `[B, H, D]`."""
        shift, scale = self.adaLN_modulation(condition).unsqueeze(1).chunk(2, dim=-1)
        out: Tensor = self.linear(_modulated_norm(x, shift, scale))
        return out


def _modulated_norm(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], eps=_EPSILON) * (1 + scale) + shift
