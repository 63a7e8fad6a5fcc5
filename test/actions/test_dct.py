"""The cosine transform against its sum."""

import math

import numpy as np
import pytest

from dvla_ros.actions.dct import dct_matrix


def cosine_sum(signal: list[float], frequency: int) -> float:
    """One orthonormal DCT-II coefficient, term by term."""
    size = len(signal)
    weight = math.sqrt((1 if frequency == 0 else 2) / size)
    return weight * sum(a * math.cos(math.pi * (n + 0.5) * frequency / size) for n, a in enumerate(signal))


@pytest.mark.parametrize("size", [1, 2, 5, 10, 16])
def test_the_matrix_gives_the_sums_of_the_definition(size):
    signal = np.random.default_rng(size).uniform(-1, 1, size)
    expected = [cosine_sum(signal.tolist(), frequency) for frequency in range(size)]
    assert dct_matrix(size) @ signal == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("size", [1, 8, 50])
def test_the_transpose_is_the_inverse(size):
    assert np.allclose(dct_matrix(size).T @ dct_matrix(size), np.eye(size))


def test_the_shared_matrix_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        dct_matrix(4)[0, 0] = 1
