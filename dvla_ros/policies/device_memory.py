"""A device that has run out of memory: an error that says what to do, and a policy that can go on."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from dvla_ros.errors import DeviceMemoryError


@contextmanager
def device_memory(device: torch.device) -> Iterator[None]:
    """Turns PyTorch's error into one of this package, and gives unused memory back to the device.

    Raises:
        DeviceMemoryError: The device had not enough memory for what was done inside.
    """
    try:
        yield
        return
    except torch.OutOfMemoryError as error:
        said = str(error).partition("\n")[0]
    # Only here: while the error is handled its traceback keeps the tensors of the failed call.
    if device.type == "cuda":
        torch.cuda.empty_cache()
    raise DeviceMemoryError(
        f"{device} has not enough free memory for this policy: {said} End what else runs on it (nvidia-smi lists it), "
        "choose another GPU with device=cuda:1, or device=cpu."
    )
