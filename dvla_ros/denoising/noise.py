"""Randomness without state: each number is a hash of the row's seed, the denoising step, the draw and its place.

So a row gets the same noise whatever else is in its batch and on whatever device, and nothing has to be carried from
step to step (which is what a captured CUDA graph needs).
"""

import math
from collections.abc import Sequence
from copy import copy

import torch
from torch import Tensor

from dvla_ros.errors import ActionError

TRAINING = -1
"""The step of what training draws, which is of no denoising step."""

_GOLDEN = -0x61C8864680B583EB  # 0x9E3779B97F4A7C15 as a signed number: splitmix64's increment
_FIRST = -0x40A7B892E31B1A47  # 0xBF58476D1CE4E5B9: its first multiplier
_SECOND = -0x6B2FB644ECCEEE15  # 0x94D049BB133111EB: its second
_DRAWS = 4096  # of one step
_STEPS = 16  # for which numbers are made at a time, where they are few: a step's own take less time than the calls
_FEW = 2**16
_LEAST, _MOST = 2.0**-54, 1 - 2.0**-24  # the ends of the open interval (0, 1) in single precision


class Noise:
    """Uniform and Gumbel noise for the rows of a batch.

    Args:
        seeds: One per row.
        device: Where the noise is made.

    Raises:
        ActionError: There are no rows.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        if len(seeds) == 0:
            raise ActionError("Denoising needs one seed per row, got none.")
        self.device = torch.device(device)
        wrapped = [(seed + 2**63) % 2**64 - 2**63 for seed in seeds]
        self._keys = _mix(torch.tensor(wrapped, dtype=torch.int64, device=self.device))
        self._ahead: dict[tuple[tuple[int, ...], int, int], Tensor] = {}

    @property
    def batch_size(self) -> int:
        """Number of rows B."""
        return self._keys.shape[0]

    def uniform(self, *shape: int, step: int, draw: int = 0) -> Tensor:
        """Independent numbers in (0, 1), float32 `[B, *shape]`, of full relative precision near 0.

        Args:
            shape: Of one row.
            step: Denoising step, -1 before the first.
            draw: Which of several draws of one step, below 4096.
        """
        if step < 0 or _STEPS * self.batch_size * math.prod(shape) > _FEW:
            return self._uniform(shape, step, 1, draw).squeeze(0)
        block, place = divmod(step, _STEPS)
        key = shape, draw, block
        if key not in self._ahead:
            self._ahead[key] = self._uniform(shape, block * _STEPS, _STEPS, draw)
        return self._ahead[key][place]

    def gumbel(self, *shape: int, step: int, draw: int = 0) -> Tensor:
        """Independent standard Gumbel numbers, float32 `[B, *shape]`; arguments as for `uniform`.

        -log(-log(1 - U)) instead of -log(-log U): the large numbers, which decide an arg-max, then come from U near 0,
        where single precision is fine enough for them.
        """
        return -torch.log(-torch.log1p(-self.uniform(*shape, step=step, draw=draw)))

    def normal(self, *shape: int, step: int, draw: int = 0) -> Tensor:
        """Independent standard normal numbers, float32 `[B, *shape]` (Box and Muller 1958); takes `draw` and the next.

        Args:
            shape: As for `uniform`.
            step: Likewise.
            draw: Likewise.
        """
        radius = torch.sqrt(-2.0 * torch.log(self.uniform(*shape, step=step, draw=draw)))
        return radius * torch.cos(2.0 * torch.pi * self.uniform(*shape, step=step, draw=draw + 1))

    def spread(self, times: int) -> "Noise":
        """Of `times` rows for each row, those of one row side by side; with 1 the same noise."""
        if times == 1:
            return self
        spread = copy(self)
        copies = torch.arange(times, dtype=torch.int64, device=self.device)
        spread._keys = _mix(self._keys.unsqueeze(1) ^ _mix(copies)).flatten()
        spread._ahead = {}
        return spread

    def _uniform(self, shape: tuple[int, ...], first: int, steps: int, draw: int) -> Tensor:
        """Of neighbouring steps, float32 `[steps, B, *shape]`."""
        step = torch.arange(first + 2, first + 2 + steps, dtype=torch.int64, device=self.device).unsqueeze(1)
        counter = torch.arange(math.prod(shape), dtype=torch.int64, device=self.device)
        stream = _mix(self._keys + step * _DRAWS + draw)
        bits = _mix(stream.unsqueeze(-1) + counter * _GOLDEN)
        numbers = ((bits >> 11) & 0x1FFFFFFFFFFFFF).to(torch.float32) * 2.0**-53
        return numbers.clamp(_LEAST, _MOST).reshape(steps, -1, *shape)


def _mix(z: Tensor) -> Tensor:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014) on int64, whose arithmetic wraps around."""
    z = z + _GOLDEN
    z = (z ^ ((z >> 30) & 0x3FFFFFFFF)) * _FIRST
    z = (z ^ ((z >> 27) & 0x1FFFFFFFFF)) * _SECOND
    return z ^ ((z >> 31) & 0x1FFFFFFFF)
