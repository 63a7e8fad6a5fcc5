"""Camera messages become RGB by their fields alone, padding and byte order included."""

from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest

from dvla_ros.control.camera_image import decode_camera
from dvla_ros.errors import ObservationError

PICTURE = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


@dataclass
class Raw:
    """A raw image message that no ROS made."""

    encoding: str
    data: bytes
    height: int = 6
    width: int = 8
    step: int = 0
    is_bigendian: int = 0


@dataclass
class Compressed:
    format: str = "png"
    data: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))


def raw(encoding: str, pixels: np.ndarray, padding: int = 0, big: bool = False) -> Raw:
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(pixels.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    return Raw(encoding, rows.tobytes(), *pixels.shape[:2], step=rows.shape[1], is_bigendian=int(big))


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(("encoding", "pixels"), [("rgb8", PICTURE), ("bgr8", PICTURE[:, :, ::-1])])
def test_padding_of_rows_is_left_out(encoding: str, pixels: np.ndarray, padding: int) -> None:
    np.testing.assert_array_equal(decode_camera(raw(encoding, pixels, padding), "front"), PICTURE)


def test_the_picture_is_a_copy() -> None:
    data = bytearray(PICTURE.tobytes())
    message = Raw("rgb8", data, step=24)
    picture = decode_camera(message, "front")
    data[:] = bytes(len(data))
    np.testing.assert_array_equal(picture, PICTURE)
    assert picture.flags.writeable


@pytest.mark.parametrize(
    ("encoding", "row", "column"),
    [("bayer_rggb8", 0, 0), ("bayer_grbg8", 0, 1), ("bayer_gbrg8", 1, 0), ("bayer_bggr8", 1, 1)],
)
def test_a_bayer_pattern_is_named_by_its_first_row(encoding: str, row: int, column: int) -> None:
    mosaic = np.zeros((6, 8), np.uint8)
    mosaic[row::2, column::2] = 200
    inner = decode_camera(raw(encoding, mosaic), "front")[2:-2, 2:-2]
    np.testing.assert_array_equal(inner, np.broadcast_to(np.array([200, 0, 0], np.uint8), inner.shape))


@pytest.mark.parametrize(("encoding", "luma"), [("yuv422", 1), ("uyvy", 1), ("yuv422_yuy2", 0), ("yuyv", 0)])
def test_the_order_of_brightness_and_colour_in_yuv422(encoding: str, luma: int) -> None:
    grey = np.full((6, 8, 2), 128, np.uint8)
    grey[:, :, luma] = 235
    assert (decode_camera(raw(encoding, grey), "front") == 255).all()


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("encoding", ["rgb16", "bgr16"])
def test_sixteen_bits_keep_the_upper_eight_in_either_byte_order(encoding: str, big: bool) -> None:
    pixels = PICTURE.astype(np.uint16) * 257
    ordered = pixels if encoding == "rgb16" else pixels[:, :, ::-1]
    message = raw(encoding, ordered.astype(">u2" if big else "<u2"), big=big)
    np.testing.assert_array_equal(decode_camera(message, "front"), PICTURE)


def test_grey_of_sixteen_bits_becomes_three_channels() -> None:
    picture = decode_camera(raw("mono16", np.full((6, 8), 257 * 77, "<u2")), "front")
    assert picture.shape == (6, 8, 3) and (picture == 77).all()


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (Raw("32FC1", bytes(192), step=32), "'wrist' sends encoding '32FC1' .8x6, 192 bytes.*not a colour"),
        (Raw("rgb8", bytes(100), step=24), "100 bytes.*needs 6 rows of 24 bytes"),
        (Raw("rgb8", bytes(144), step=0), "its step is 0"),
        (Raw("rgb8", b"", height=0, width=0), "0x0, 0 bytes"),
        (Raw("yuv422", bytes(6 * 14), width=7, step=14), "'yuv422' .7x6"),
    ],
)
def test_what_cannot_be_converted_is_named(message: Raw, words: str) -> None:
    with pytest.raises(ObservationError, match=words):
        decode_camera(message, "wrist")


def test_a_png_comes_back_as_it_was() -> None:
    data = cv2.imencode(".png", PICTURE[:, :, ::-1])[1].ravel()
    np.testing.assert_array_equal(decode_camera(Compressed(data=data), "front"), PICTURE)


@pytest.mark.parametrize("data", [b"", b"no picture at all"])
def test_a_broken_compressed_picture_is_named(data: bytes) -> None:
    with pytest.raises(ObservationError, match="'front' sends a compressed image of format 'h264'.*no JPEG or PNG"):
        decode_camera(Compressed("h264", np.frombuffer(data, np.uint8) if data else np.empty(0, np.uint8)), "front")
