"""Seconds that work takes, the device's included."""

import time
from collections.abc import Callable

import torch


def wait_for(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(
    work: Callable[[], object], device: torch.device, *, repeats: int = 5, warm_up: int = 1
) -> tuple[float, ...]:
    """Wall time of each repetition, after some that are not counted."""
    for _ in range(warm_up):
        work()
    taken = []
    for _ in range(repeats):
        wait_for(device)
        started = time.perf_counter()
        work()
        wait_for(device)
        taken.append(time.perf_counter() - started)
    return tuple(taken)
