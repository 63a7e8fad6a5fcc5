"""A device that has run out of memory: an error that says what to do, and a policy that can go on."""

from collections.abc import Callable
from typing import TypeVar

import torch

from dvla_ros.errors import DeviceMemoryError

AnswerT = TypeVar("AnswerT")


def within_device_memory(device: torch.device, work: Callable[[], AnswerT]) -> AnswerT:
    """What `work` returns; where the device's memory does not suffice, what is unused is given back to the device.

    Raises:
        DeviceMemoryError: It does not suffice.
    """
    try:
        return work()
    except torch.OutOfMemoryError as error:
        said = str(error).partition("\n")[0]
    # Only here: while the error is handled its traceback keeps the tensors of the failed work.
    if device.type == "cuda":
        torch.cuda.empty_cache()
    raise DeviceMemoryError(
        f"{device} has not enough free memory for this policy: {said} End what else runs on it (nvidia-smi lists it), "
        "choose another GPU with device=cuda:1, or device=cpu."
    )
