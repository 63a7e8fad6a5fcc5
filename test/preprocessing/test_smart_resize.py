"""Image sizes against the functions of transformers, on many sizes, and the refusals."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dvla_ros.errors import ConfigurationError, ObservationError
from dvla_ros.preprocessing.smart_resize import SmartResize

SIDES = st.integers(1, 3000)
BOUNDS = st.sampled_from(
    [(56 * 56, 28 * 28 * 1280), (80 * 80, 1024 * 1024), (256 * 256, 512 * 512), (784, 14 * 14 * 4 * 16384)]
)


@settings(max_examples=300)
@given(SIDES, SIDES, BOUNDS)
def test_qwen2_sizes_equal_transformers(height, width, bounds):
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    assume(max(height, width) <= 200 * min(height, width))
    assert SmartResize.qwen2(*bounds)(height, width) == smart_resize(height, width, 28, *bounds)


@settings(max_examples=300)
@given(SIDES, SIDES, BOUNDS)
def test_emu3_sizes_equal_transformers(height, width, bounds):
    from transformers.models.emu3.image_processing_emu3 import smart_resize

    assume(min(height, width) >= 8 and max(height, width) <= 5 * min(height, width))
    assert SmartResize.emu3(*bounds)(height, width) == smart_resize(height, width, 8, *bounds)


@given(SIDES, SIDES, BOUNDS)
def test_sides_divide_and_the_area_is_bounded(height, width, bounds):
    assume(max(height, width) <= 5 * min(height, width))
    tall, wide = SmartResize.qwen2(*bounds)(height, width)
    assert tall % 28 == 0 and wide % 28 == 0
    assert bounds[0] <= tall * wide <= bounds[1]


@pytest.mark.parametrize(
    ("size", "expected"), [((200, 200), (200, 200)), ((80, 80), (80, 80)), ((84, 84), (80, 80)), ((60, 60), (80, 80))]
)
def test_ud_vlas_cameras(size, expected):
    assert SmartResize.emu3(80 * 80, 1024 * 1024)(*size) == expected


def test_a_camera_of_320_by_240_gives_qwen2_99_tokens():
    tall, wide = SmartResize.qwen2(56 * 56, 14 * 14 * 4 * 16384)(240, 320)
    assert (tall, wide, tall * wide // 28**2) == (252, 308, 99)


def test_narrow_and_tiny_images_are_refused():
    with pytest.raises(ObservationError, match="may be 5 times the other at most, got 100x501"):
        SmartResize.emu3(6400, 10**6)(100, 501)
    with pytest.raises(ObservationError, match="must be 8 pixels or more a side, got 7x20"):
        SmartResize.emu3(6400, 10**6)(7, 20)
    with pytest.raises(ObservationError, match="may be 200 times the other at most, got 1x201"):
        SmartResize.qwen2(3136, 10**6)(1, 201)


def test_wrong_bounds_are_refused():
    with pytest.raises(ConfigurationError, match="min_pixels must be positive and max_pixels at most, got 9 and 4"):
        SmartResize.qwen2(9, 4)
    with pytest.raises(ConfigurationError, match="factor, min_side and max_ratio must be 1 or more"):
        SmartResize(0, 1, 2, 5.0)
