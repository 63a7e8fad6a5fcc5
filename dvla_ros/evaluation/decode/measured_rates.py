"""What this device can do, measured in the same run: a large copy and a large multiplication."""

from math import inf

import torch

from dvla_ros.evaluation.decode.stopwatch import seconds_of
from dvla_ros.evaluation.decode.work import Rates

LARGEST_COPY = {"cpu": 200_000_000, "cuda": 1_000_000_000}
"""Bytes, several times the largest cache; more does not change the rate."""
SMALLEST_COPY = 1_000_000
_SIDE = {"cpu": 1024, "cuda": 8192}  # of the matrices
_REPEATS = 10


class BestRates:
    """The best rates of a device seen so far; what else runs on the machine can only hide them.

    Args:
        device: Which.
        dtype: Of the numbers.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self._dtype = device, dtype
        self._flop_per_s = 0.0
        self._bytes_per_s: dict[float, float] = {}

    def measure(self, weight_bytes: float = inf) -> Rates:
        """Measure once more, and give the best.

        Args:
            weight_bytes: Size of the network: as much is copied, at most `LARGEST_COPY`, because small weights stay in
                a cache and are read from there.
        """
        self._flop_per_s = max(self._flop_per_s, matrix_rate(self._device, self._dtype))
        before = self._bytes_per_s.get(weight_bytes, 0.0)
        self._bytes_per_s[weight_bytes] = max(before, copy_rate(self._device, weight_bytes))
        return Rates(self._bytes_per_s[weight_bytes], self._flop_per_s)


def copy_rate(device: torch.device, nbytes: float) -> float:
    """Bytes per second that are read or written while so many bytes are copied."""
    count = int(min(max(nbytes, SMALLEST_COPY), LARGEST_COPY[device.type]))
    source = torch.zeros(count, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * count / min(seconds_of(lambda: target.copy_(source), device, repeats=_REPEATS, warm_up=2))


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of the multiplication of two square matrices."""
    side = _SIDE[device.type]
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    return 2.0 * side**3 / min(seconds_of(lambda: torch.mm(a, b, out=out), device, repeats=_REPEATS, warm_up=2))
