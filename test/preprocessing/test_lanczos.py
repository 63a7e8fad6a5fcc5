"""Lanczos-3 against its definition, pixel by pixel, and against Pillow's."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dvla_ros.errors import ConfigurationError, ObservationError
from dvla_ros.preprocessing.lanczos import lanczos3_resize, lanczos3_values, lanczos3_weights

SIZES = st.integers(1, 40)


def kernel(x):
    if abs(x) >= 3:
        return 0.0
    return 1.0 if x == 0 else 3 * math.sin(math.pi * x) * math.sin(math.pi * x / 3) / (math.pi * x) ** 2


def one_axis(values, size):
    """Every output is the mean of the inputs, weighed by a kernel as wide as the reduction, in double precision."""
    scale = len(values) / size
    stretch = max(scale, 1.0)
    result = []
    for i in range(size):
        centre = (i + 0.5) * scale
        weights = [kernel((j + 0.5 - centre) / stretch) for j in range(len(values))]
        result.append(sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights))
    return np.array(result)


def by_definition(image, height, width):
    return np.moveaxis(one_axis(list(np.moveaxis(one_axis(list(image.astype(float)), height), 1, 0)), width), 0, 1)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((48, 64), (22, 22)),
        ((30, 20), (7, 41)),
        ((16, 16), (16, 16)),
        ((9, 9), (25, 30)),
        ((50, 3), (1, 2)),
        ((1, 1), (4, 4)),
    ],
)
def test_equals_the_definition(picture, shape, size):
    image = picture(*shape)
    expected = by_definition(image, *size)
    assert np.abs(lanczos3_values(image, *size) - expected).max() < 1e-3
    difference = lanczos3_resize(image, *size) - np.clip(np.rint(expected), 0, 255)
    assert np.abs(difference).max() <= 1
    assert (difference != 0).mean() < 0.001  # only where the definition itself lies on a half


@settings(max_examples=25)
@given(SIZES, SIZES, SIZES, SIZES, st.integers(0, 2**32 - 1))
def test_equals_the_definition_for_any_size_and_noise(height, width, new_height, new_width, seed):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = np.clip(by_definition(image, new_height, new_width), 0, 255)
    assert np.abs(lanczos3_resize(image, new_height, new_width) - expected).max() <= 0.5 + 1e-3


@given(st.integers(1, 700), st.integers(1, 300))
def test_weights_of_an_output_add_up_to_one(source, size):
    weights = lanczos3_weights(source, size)
    assert weights.shape == (size, source)
    assert weights.sum(axis=1) == pytest.approx(np.ones(size), abs=1e-5)


def test_an_image_keeps_its_pixels_at_its_own_size(picture):
    image = picture(40, 52)
    assert np.array_equal(lanczos3_resize(image, 40, 52), image)


def test_halves_round_to_even():
    image = np.zeros((1, 2, 3), dtype=np.uint8)
    image[0, 1] = (1, 3, 5)  # means 0.5, 1.5 and 2.5
    assert lanczos3_values(image, 1, 1).ravel() == pytest.approx([0.5, 1.5, 2.5], abs=1e-6)
    assert lanczos3_resize(image, 1, 1).ravel().tolist() == [0, 2, 2]


def test_ringing_is_clipped():
    image = np.zeros((20, 20, 3), dtype=np.uint8)
    image[:, 10:] = 255
    values = lanczos3_values(image, 20, 60)
    assert values.min() < -5 and values.max() > 260
    assert lanczos3_resize(image, 20, 60).min() == 0 and lanczos3_resize(image, 20, 60).max() == 255


@pytest.mark.parametrize("shape", [(480, 640), (256, 256), (128, 128)])
def test_pillow_is_one_level_away_except_beside_hard_edges(picture, shape):
    image = picture(*shape)
    pillow = np.asarray(Image.fromarray(image).resize((224, 224), Image.Resampling.LANCZOS))
    difference = np.abs(lanczos3_resize(image, 224, 224).astype(int) - pillow)
    assert difference.max() <= 8  # Pillow rounds and clips between its two passes
    assert (difference > 1).mean() < 0.005


def test_wrong_inputs_are_refused(picture):
    with pytest.raises(ObservationError, match="must be uint8"):
        lanczos3_resize(picture(4, 4).astype(float), 2, 2)
    with pytest.raises(ConfigurationError, match="got 4 to become 0"):
        lanczos3_resize(picture(4, 4), 0, 2)
