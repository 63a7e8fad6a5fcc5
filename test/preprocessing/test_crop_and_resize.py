"""The two centre crops against their formulas, one pixel at a time."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvla_ros.errors import ConfigurationError, ObservationError
from dvla_ros.preprocessing.crop_and_resize import center_crop_area, center_crop_sides, crop_and_resize


def bilinear(values, y, x):
    low_y, low_x = math.floor(y), math.floor(x)
    high_y, high_x = min(low_y + 1, len(values) - 1), min(low_x + 1, values.shape[1] - 1)
    top = values[low_y, low_x] * (1 - (x - low_x)) + values[low_y, high_x] * (x - low_x)
    bottom = values[high_y, low_x] * (1 - (x - low_x)) + values[high_y, high_x] * (x - low_x)
    return top * (1 - (y - low_y)) + bottom * (y - low_y)


def area_crop_by_formula(image, area):
    """The values, 0..1, in double precision."""
    height, width = image.shape[:2]
    side = math.sqrt(area)
    start = (1 - side) / 2
    place = lambda i, n: start * (n - 1) + i * side * (n - 1) / (n - 1) if n > 1 else 0.5 * (n - 1)  # noqa: E731
    rows = [[bilinear(image / 255, place(i, height), place(j, width)) for j in range(width)] for i in range(height)]
    return np.array(rows)


@pytest.mark.parametrize(("shape", "area"), [((24, 24), 0.9), ((17, 31), 0.9), ((20, 20), 0.5), ((12, 9), 1.0)])
def test_the_area_crop_equals_its_formula(picture, shape, area):
    image = picture(*shape)
    expected = np.floor(np.clip(area_crop_by_formula(image, area), 0, 1) * 255.5).clip(0, 255)
    difference = center_crop_area(image, area) - expected
    assert np.abs(difference).max() <= 1
    assert (difference != 0).mean() < 0.01


def test_a_plain_image_stays_as_it_is():
    for level in range(256):
        image = np.full((5, 6, 3), level, dtype=np.uint8)
        assert np.array_equal(center_crop_area(image), image)
        assert np.array_equal(center_crop_sides(np.full((40, 60, 3), level, dtype=np.uint8))[0, 0], image[0, 0])


def test_the_crop_keeps_the_middle_and_cuts_the_border():
    image = np.zeros((224, 224, 3), dtype=np.uint8)
    image[:5] = 255  # above (1 - sqrt 0.9) / 2 * 223 = 5.72
    assert center_crop_area(image).max() == 0
    image[5:8] = 200
    assert center_crop_area(image)[0].min() == 200


def test_a_single_row_lies_in_the_middle_of_the_box():
    values = np.arange(11, dtype=np.float32)[:, None, None] * np.ones((1, 11, 1), dtype=np.float32)
    box = tuple(np.float32(edge) for edge in (0.2, 0, 0.8, 1))
    assert crop_and_resize(values, box, 1, 1).ravel() == pytest.approx([5.0])


@settings(max_examples=25)
@given(st.integers(20, 60), st.integers(20, 60), st.integers(0, 2**32 - 1))
def test_the_side_crop_equals_bilinear_sampling_of_the_slice(height, width, seed):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    rows, columns = (slice(int(n * (1 - 0.95) / 2), int(n * (1 + 0.95) / 2)) for n in (height, width))
    crop = image[rows, columns].astype(float)

    def place(i, size, source):
        return min(max((i + 0.5) * source / size - 0.5, 0), source - 1)

    expected = np.array(
        [
            [bilinear(crop, place(i, height, len(crop)), place(j, width, crop.shape[1])) for j in range(width)]
            for i in range(height)
        ]
    )
    difference = center_crop_sides(image) - np.floor(expected)
    assert np.abs(difference).max() <= 1  # where the exact value is a whole number, float32 may lie below it
    assert (difference != 0).mean() < 0.03


def test_wrong_shares_and_images_are_refused(picture):
    with pytest.raises(ConfigurationError, match="area must be more than 0 and 1 at most, got 1.2"):
        center_crop_area(picture(8, 8), 1.2)
    with pytest.raises(ConfigurationError, match="ratio must be more than 0 and 1 at most, got 0"):
        center_crop_sides(picture(8, 8), 0)
    with pytest.raises(ObservationError, match="image must be uint8"):
        center_crop_area(np.zeros((8, 8), dtype=np.uint8))
    with pytest.raises(ObservationError, match="The crop of a 1x1 image must be"):
        center_crop_sides(picture(1, 1))
