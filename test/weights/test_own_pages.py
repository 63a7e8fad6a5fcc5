"""Memory of a tensor that is let go of is the system's again, whatever the allocator has learnt."""

from pathlib import Path

import pytest
import torch

from dvla_ros.weights.own_pages import copy_on_own_pages, empty_on_own_pages

MEGABYTES = 2**20


def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def test_pages_go_back_to_the_system():
    torch.ones(28 * MEGABYTES, dtype=torch.uint8)  # from now on the allocator keeps what is smaller than this
    tensor = empty_on_own_pages([4, 4 * MEGABYTES], torch.uint8).fill_(1)
    kept = torch.ones(2000)
    before = resident()
    del tensor
    assert before - resident() > 15 * MEGABYTES
    assert kept.sum() == 2000


@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3), (300, 700)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.bool])
def test_a_copy_is_contiguous_and_equal(shape, dtype):
    tensor = (torch.rand(shape) > 0.5).to(dtype)
    turned = tensor.mT if tensor.ndim == 2 else tensor
    copy = copy_on_own_pages(turned)
    assert copy.is_contiguous() and copy.dtype == dtype and torch.equal(copy, turned)
    assert copy.data_ptr() != tensor.data_ptr() or not tensor.numel()


def test_a_copy_of_another_type():
    assert copy_on_own_pages(torch.full((300, 700), 1.5), torch.bfloat16).dtype == torch.bfloat16
