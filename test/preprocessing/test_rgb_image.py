"""The form of an image, and its rotation."""

import numpy as np
import pytest
from PIL import Image

from dvla_ros.errors import ObservationError
from dvla_ros.preprocessing.rgb_image import bicubic, require_rgb, rotate_180


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 5, 3), dtype=np.float32),
        np.zeros((4, 5), dtype=np.uint8),
        np.zeros((4, 5, 4), dtype=np.uint8),
        np.zeros((0, 5, 3), dtype=np.uint8),
        [[1, 2, 3]],
    ],
    ids=["float", "grey", "alpha", "empty", "list"],
)
def test_other_forms_are_refused_by_the_cameras_name(image):
    with pytest.raises(ObservationError, match=r"wrist must be uint8 \[height, width, 3\] in RGB, got "):
        require_rgb(image, "wrist")


def test_rotation_exchanges_opposite_corners(picture):
    image = picture(6, 8)
    turned = rotate_180(image)
    assert np.array_equal(turned[0, 0], image[5, 7]) and np.array_equal(turned[2, 1], image[3, 6])
    assert np.array_equal(rotate_180(turned), image)


def test_bicubic_is_pillows_and_leaves_an_image_of_that_size_alone(picture):
    image = picture(60, 84)
    expected = np.asarray(Image.fromarray(image).resize((80, 40), Image.Resampling.BICUBIC))
    assert np.array_equal(bicubic(image, 40, 80), expected)
    assert bicubic(image, 60, 84) is image
