"""Tensors of an observation to the device, without waiting for the copy."""

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """A copy on the device, converted there.

    To a GPU from pinned memory, so that the copy goes on while the host reads the next image or the sentence; what is
    queued on the device afterwards finds it complete. The tensor must not be written to any more.
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True).to(dtype or tensor.dtype)
