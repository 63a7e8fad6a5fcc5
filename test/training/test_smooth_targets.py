"""Target distributions: certain, or shared with the neighbouring ids."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.training.smooth_targets import smooth_targets


def test_without_deviation_every_token_is_itself():
    assert torch.equal(smooth_targets(5, 0.0), torch.eye(5))


def test_it_is_a_gaussian_of_the_distance_in_ids():
    targets = smooth_targets(9, 0.8)
    for away in range(1, 5):
        ratio = (targets[4, 4 + away] / targets[4, 4]).item()
        assert ratio == pytest.approx(math.exp(-0.5 * (away / 0.8) ** 2), rel=1e-4)
        assert targets[4, 4 + away] == targets[4, 4 - away]


@given(st.integers(2, 40), st.floats(0.05, 10.0))
def test_each_row_is_a_distribution_that_peaks_at_its_token(vocabulary, deviation):
    targets = smooth_targets(vocabulary, deviation)
    assert targets.sum(dim=1) == pytest.approx(torch.ones(vocabulary), abs=1e-5)
    assert targets.argmax(dim=1).tolist() == list(range(vocabulary))
