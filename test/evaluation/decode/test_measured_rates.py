"""Rates of the device."""

import pytest
import torch

from dvla_ros.evaluation.decode.measured_rates import LARGEST_COPY, BestRates, copy_rate, matrix_rate

CPU = torch.device("cpu")


def test_both_rates_are_measured_and_only_get_better(monkeypatch):
    monkeypatch.setitem(matrix_rate.__globals__["_SIDE"], "cpu", 64)
    best = BestRates(CPU, torch.float32)
    first = best.measure(weight_bytes=2e6)
    assert first.bytes_per_s > 1e8 and first.flop_per_s > 1e8
    for _ in range(3):
        again = best.measure(weight_bytes=2e6)
        assert again.bytes_per_s >= first.bytes_per_s and again.flop_per_s >= first.flop_per_s
        first = again


def test_more_than_the_largest_copy_is_not_copied(monkeypatch):
    sizes = []
    zeros = torch.zeros
    monkeypatch.setattr(torch, "zeros", lambda count, **kind: sizes.append(count) or zeros(10, **kind))
    copy_rate(CPU, 20e9)
    assert sizes == [LARGEST_COPY["cpu"]]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_multiplies_faster_in_bfloat16():
    device = torch.device("cuda")
    assert matrix_rate(device, torch.bfloat16) > matrix_rate(device, torch.float32)
