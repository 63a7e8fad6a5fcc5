"""Figures that are held to a bound."""

import pytest
import torch

from dvla_ros.evaluation.decode.checks import Check, head_check, loop_check

CPU = torch.device("cpu")


@pytest.mark.parametrize(("value", "at_least", "holds"), [(2.0, True, True), (1.0, True, False), (1.0, False, True)])
def test_a_bound_holds_from_its_side(value, at_least, holds):
    assert Check("x", value, 1.5, at_least).holds is holds


def test_a_sliced_head_is_compared_with_the_whole_one():
    check = head_check(CPU, torch.float32, repeats=2, vocabulary=2048)
    assert check.at_least and check.value > 0 and "2048" in check.name


def test_the_loop_is_measured_per_step():
    check = loop_check(CPU, "masked", {"num_steps": 3}, (2, 3, 16), repeats=2)
    assert check.unit == "ms" and 0 < check.value < 100 and "masked" in check.name
