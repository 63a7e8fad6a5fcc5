"""Turning by position: scores depend on distances only, and sections choose the position of a frequency."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.rotary import Rotary, text_positions

thetas = st.sampled_from([10_000.0, 500_000.0, 1_000_000.0])


def turned_as_complex_numbers(x: torch.Tensor, positions: torch.Tensor, theta: float) -> torch.Tensor:
    """Component i and i + d/2 are the real and imaginary part of a number that is multiplied by exp(i position w)."""
    half = x.shape[-1] // 2
    number = torch.complex(x[..., :half].double(), x[..., half:].double())
    speed = torch.tensor([theta ** (-i / half) for i in range(half)], dtype=torch.float64)
    number = number * torch.exp(1j * positions.double().unsqueeze(-1) * speed)
    return torch.cat([number.real, number.imag], dim=-1)


def vectors(length: int, head_dim: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 3, length, head_dim, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=25, deadline=None)
@given(half=st.integers(1, 16), theta=thetas, start=st.integers(0, 3000))
def test_turning_is_multiplication_of_complex_numbers(half: int, theta: float, start: int):
    x, positions = vectors(5, 2 * half), torch.arange(start, start + 5)
    turned = Rotary(2 * half, theta).rotation(positions, torch.float32).turn(x)
    assert torch.allclose(turned.double(), turned_as_complex_numbers(x, positions, theta), atol=2e-3)


@settings(max_examples=25, deadline=None)
@given(theta=thetas, shift=st.integers(0, 500))
def test_scores_depend_on_distances_only(theta: float, shift: int):
    queries, keys = vectors(6, 16), vectors(6, 16, seed=1)
    scores = []
    for start in (0, shift):
        rotation = Rotary(16, theta).rotation(torch.arange(start, start + 6), torch.float32)
        scores.append(rotation.turn(queries) @ rotation.turn(keys).transpose(-1, -2))
    assert torch.allclose(scores[0], scores[1], atol=2e-3)


def test_rows_may_have_positions_of_their_own():
    positions = torch.tensor([[0, 1, 2], [5, 6, 9]])
    x = vectors(3, 8)
    turned = Rotary(8, 100.0).rotation(positions, torch.float32).turn(x)
    for row in range(2):
        alone = Rotary(8, 100.0).rotation(positions[row], torch.float32).turn(x[row])
        assert torch.allclose(turned[row], alone)


def test_text_turns_with_sections_as_without():
    x = vectors(7, 16)
    plain = Rotary(16, 1e6).rotation(torch.arange(4, 11), torch.float32).turn(x)
    sectioned = Rotary(16, 1e6, (2, 3, 3)).rotation(text_positions(7, start=4), torch.float32).turn(x)
    assert torch.equal(plain, sectioned)


def test_each_section_turns_with_its_own_row_of_positions():
    sections, x = (2, 3, 3), vectors(4, 16)
    positions = torch.tensor([[0, 0, 0, 1], [0, 1, 2, 3], [7, 5, 3, 1]])
    turned = Rotary(16, 1e6, sections).rotation(positions, torch.float32).turn(x)
    row_of_frequency = [0, 0, 1, 1, 1, 2, 2, 2]
    for frequency, row in enumerate(row_of_frequency):
        expected = Rotary(16, 1e6).rotation(positions[row], torch.float32).turn(x)
        for component in (frequency, frequency + 8):
            assert torch.equal(turned[..., component], expected[..., component])


def test_angles_of_far_positions_are_not_rounded_to_half_precision():
    positions = torch.arange(1500, 1510)
    rotation = Rotary(16, 1e4).rotation(positions, torch.bfloat16)
    assert torch.equal(rotation.cos[0, :, 0], positions.double().cos().to(torch.bfloat16))


@pytest.mark.parametrize(
    ("rotary", "shape"),
    [(Rotary(8, 1e4), (3, 2, 5)), (Rotary(8, 1e4, (2, 1, 1)), (5,)), (Rotary(8, 1e4, (2, 1, 1)), (2, 5))],
)
def test_positions_of_another_shape_are_refused(rotary: Rotary, shape: tuple[int, ...]):
    with pytest.raises(ConfigurationError, match=r"Positions must be \["):
        rotary.rotation(torch.zeros(shape, dtype=torch.int64), torch.float32)
