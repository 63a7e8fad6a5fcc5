"""Most memory that was in use at once, in 10⁹ bytes."""

from pathlib import Path

import torch

GIGABYTE = 1e9
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """From now on, until asked: of a GPU all that tensors hold; of a host all that the process holds.

    Args:
        device: Whose memory.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        elif _CLEAR.exists():
            _CLEAR.write_text("5")  # the peak starts anew

    def gigabytes(self) -> float | None:
        """The peak since then; None where the system does not tell."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) / GIGABYTE
        return _line("VmHWM") / GIGABYTE if _STATUS.exists() else None


def _line(name: str) -> int:
    lines = _STATUS.read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
