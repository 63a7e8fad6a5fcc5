"""Memory that goes back to the system as soon as it is let go of.

What the usual allocator gives between 128 KiB and 32 MiB soon lies in one heap: the small objects that stay are put
between the large pieces that were only read or computed with, and the holes can cost as much as the weights again.
"""

import math
import mmap
from collections.abc import Sequence

import torch
from torch import Tensor

_LARGE = 65536  # bytes from which a tensor gets pages of its own


def empty_on_own_pages(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A tensor on the CPU without values; a small one comes from the usual allocator."""
    nbytes = math.prod(shape) * dtype.itemsize
    if nbytes < _LARGE:
        return torch.empty(shape, dtype=dtype)
    pages = mmap.mmap(-1, nbytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return torch.frombuffer(pages, dtype=dtype).view(shape)


def copy_on_own_pages(tensor: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """A contiguous copy on the CPU, by default of the same type."""
    return empty_on_own_pages(tensor.shape, dtype or tensor.dtype).copy_(tensor.detach())
