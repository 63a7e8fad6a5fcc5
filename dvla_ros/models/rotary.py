"""Rotary position embedding: queries and keys are turned by angles that grow with their position.

RoFormer (arXiv 2104.09864), with the halves convention of the published weights: component i of a head is paired with
component i + d / 2. With sections (Qwen2-VL, arXiv 2409.12191) a token has three positions (time, height, width), and
each frequency turns with one of them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dvla_ros.errors import ConfigurationError


@dataclass(frozen=True)
class Rotation:
    """Cosines and sines for the positions of one call, `[..., 1, L, head_dim / 2]` each."""

    cos: Tensor
    sin: Tensor

    def turn(self, x: Tensor) -> Tensor:
        """Turn queries or keys `[B, heads, L, head_dim]`."""
        first, second = x.chunk(2, dim=-1)
        return torch.cat([first * self.cos - second * self.sin, second * self.cos + first * self.sin], dim=-1)

    def between(self, start: int, stop: int) -> "Rotation":
        """Those of neighbouring positions of the call."""
        return Rotation(self.cos[..., start:stop, :], self.sin[..., start:stop, :])

    def at(self, index: Tensor) -> "Rotation":
        """Those of some positions of the call, int64 `[B, k]`; of one row of positions."""
        return Rotation(*(part.squeeze(0)[index].unsqueeze(1) for part in (self.cos, self.sin)))


@dataclass(frozen=True)
class Rotary:
    """Angles from positions.

    Not a module on purpose: a buffer of frequencies would be rounded when the model is cast to bfloat16.

    Attributes:
        head_dim: d, even.
        theta: Base; frequency i is theta^(-2i / d), i = 0..d/2 - 1.
        sections: How many frequencies belong to time, height and width; None for one position per token.
    """

    head_dim: int
    theta: float
    sections: tuple[int, int, int] | None = None

    def rotation(self, positions: Tensor, dtype: torch.dtype) -> Rotation:
        """Cosines and sines of position times frequency, computed in float32 and rounded to `dtype` at the end.

        Args:
            positions: `[L]` or `[B, L]`; with sections `[3, L]` or `[3, B, L]`.
            dtype: Of the queries and keys.

        Raises:
            ConfigurationError: Positions have another shape.
        """
        exponents = torch.arange(0, self.head_dim, 2, dtype=torch.float32, device=positions.device) / self.head_dim
        angles = self._position_of_each_frequency(positions).float() * self.theta**-exponents
        angles = angles.unsqueeze(-3)
        return Rotation(angles.cos().to(dtype), angles.sin().to(dtype))

    def _position_of_each_frequency(self, positions: Tensor) -> Tensor:
        """`[..., L, d / 2]`, or `[..., L, 1]` where all frequencies share one position."""
        if self.sections is None:
            if positions.ndim not in (1, 2):
                raise ConfigurationError(f"Positions must be [L] or [B, L], got {list(positions.shape)}.")
            return positions.unsqueeze(-1)
        if positions.ndim not in (2, 3) or positions.shape[0] != 3:
            raise ConfigurationError(
                f"Positions must be [3, L] or [3, B, L] for time, height and width, got {list(positions.shape)}."
            )
        rows = [positions[row].unsqueeze(-1).expand(*positions.shape[1:], n) for row, n in enumerate(self.sections)]
        return torch.cat(rows, dim=-1)


def text_positions(length: int, start: int = 0, device: torch.device | str | None = None) -> Tensor:
    """Positions int64 `[3, L]` of a run of text for a rotary embedding with sections: all three count alike."""
    return torch.arange(start, start + length, device=device).expand(3, -1)
