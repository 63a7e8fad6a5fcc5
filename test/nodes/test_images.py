"""Camera messages become RGB, or an error that names camera, encoding and cure."""

import numpy as np
import pytest
from cv_bridge import CvBridge
from sensor_msgs.msg import CompressedImage, Image

from dvla_ros.errors import ObservationError
from dvla_ros.nodes.images import compress_image, decode_image, encode_image

ORANGE = np.full((8, 6, 3), (250, 120, 10), np.uint8)


def test_a_raw_image_comes_back_as_it_was():
    np.testing.assert_array_equal(decode_image(encode_image(ORANGE), "front"), ORANGE)


@pytest.mark.parametrize(
    ("encoding", "array"),
    [
        ("bgr8", ORANGE[:, :, ::-1]),
        ("rgba8", np.dstack([ORANGE, np.full((8, 6), 255, np.uint8)])),
        ("bgra8", np.dstack([ORANGE[:, :, ::-1], np.full((8, 6), 255, np.uint8)])),
    ],
)
def test_other_colour_orders_become_rgb(encoding, array):
    message = CvBridge().cv2_to_imgmsg(np.ascontiguousarray(array), encoding=encoding)
    np.testing.assert_array_equal(decode_image(message, "front"), ORANGE)


def test_grey_becomes_three_equal_channels():
    image = decode_image(CvBridge().cv2_to_imgmsg(np.full((4, 4), 77, np.uint8), encoding="mono8"), "front")
    assert image.shape == (4, 4, 3)
    assert (image == 77).all()


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8", "bayer_rggb8", "bayer_bggr8"])
def test_every_pixel_is_as_cv_bridge_has_it(encoding):
    width = {"rgba8": 4, "bgra8": 4, "rgb8": 3, "bgr8": 3}.get(encoding, 1) * 8
    message = Image(height=6, width=8, encoding=encoding, step=width)
    message.data.frombytes(np.random.default_rng(1).integers(0, 256, 6 * width, dtype=np.uint8).tobytes())
    expected = CvBridge().imgmsg_to_cv2(message, desired_encoding="rgb8")
    np.testing.assert_array_equal(decode_image(message, "front"), expected)


def test_a_jpeg_keeps_colours_and_their_order():
    image = decode_image(compress_image(ORANGE, quality=95), "front")
    assert np.abs(image.astype(int) - ORANGE).max() < 12


@pytest.mark.parametrize("encoding", ["32FC1", "colour8", ""])
def test_an_encoding_that_cannot_be_converted_is_named(encoding):
    message = Image(height=2, width=2, encoding=encoding, step=8, data=bytes(16))
    with pytest.raises(ObservationError, match=f"'wrist' sends encoding '{encoding}'.*rgb8"):
        decode_image(message, "wrist")


def test_an_image_with_too_few_bytes_is_refused():
    message = Image(height=4, width=4, encoding="rgb8", step=12, data=bytes(10))
    with pytest.raises(ObservationError, match="10 bytes"):
        decode_image(message, "wrist")


@pytest.mark.parametrize("data", [b"", b"no picture at all"])
def test_a_broken_compressed_image_is_refused(data):
    with pytest.raises(ObservationError, match=r"'wrist' sends a compressed image of format 'h264'.*jpeg"):
        decode_image(CompressedImage(format="h264", data=data), "wrist")
