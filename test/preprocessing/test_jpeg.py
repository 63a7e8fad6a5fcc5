"""The JPEG round trip against libjpeg-turbo: its fast decoder by a stored picture, its accurate one through Pillow.

`jpeg_after_fast_decoder.png` was written by libjpeg-turbo 2.1 (jpeg_set_quality 95, JDCT_IFAST) from
`jpeg_before.png`; TensorFlow's decode_image calls the same library with the same two settings.
"""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dvla_ros.errors import ConfigurationError, ObservationError
from dvla_ros.preprocessing.jpeg import jpeg_round_trip
from dvla_ros.preprocessing.jpeg_blocks import compressed_plane, quantization
from dvla_ros.preprocessing.jpeg_color import luma

DATA = Path(__file__).parent / "data"


def stored(name):
    return np.asarray(Image.open(DATA / name).convert("RGB"))


@pytest.mark.parametrize(("height", "width"), [(75, 101), (64, 96), (33, 17), (16, 16), (74, 4), (9, 101)])
def test_equals_libjpegs_fast_decoder_bit_for_bit(height, width):
    """Corners of whole 16x16 blocks decode alone, up to their last column and row, which see their neighbours."""
    before, after = stored("jpeg_before.png"), stored("jpeg_after_fast_decoder.png")
    assert np.array_equal(jpeg_round_trip(before), after)
    whole_rows, whole_columns = height // 16 * 16 - 1, width // 16 * 16 - 1
    if min(whole_rows, whole_columns) > 0:
        cut = jpeg_round_trip(before[:height, :width])
        assert np.array_equal(cut[:whole_rows, :whole_columns], after[:whole_rows, :whole_columns])


@pytest.mark.parametrize("shape", [(96, 128), (37, 53), (17, 33), (9, 7), (5, 6), (3, 3), (1, 1), (40, 4)])
def test_stays_close_to_the_accurate_decoder_and_darkens(picture, shape):
    image = picture(*shape)
    fast, accurate = jpeg_round_trip(image).astype(int), jpeg_round_trip(image, "accurate").astype(int)
    assert fast.shape == image.shape
    assert np.abs(fast - accurate).max() <= 10
    if image.size > 1000:
        assert -1.0 < (fast - accurate).mean() < -0.6


def test_accurate_is_pillows_round_trip(picture):
    image = picture(50, 70)
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="JPEG", quality=95)
    assert np.array_equal(jpeg_round_trip(image, "accurate"), np.asarray(Image.open(stream)))


def test_quantisation_tables_are_those_that_pillow_writes(picture):
    for quality in (10, 50, 75, 95, 100):
        stream = io.BytesIO()
        Image.fromarray(picture(16, 16)).save(stream, format="JPEG", quality=quality)
        tables = Image.open(stream).quantization
        for index, is_luma in ((0, True), (1, False)):
            assert quantization(quality, is_luma=is_luma).ravel().tolist() == list(tables[index])


def test_grey_planes_follow_pillows_within_what_the_fast_transform_loses(picture):
    plane = luma(picture(64, 80))
    stream = io.BytesIO()
    Image.fromarray(plane.astype(np.uint8)).save(stream, format="JPEG", quality=95)
    difference = compressed_plane(plane, quantization(95, is_luma=True)) - np.asarray(Image.open(stream)).astype(int)
    assert np.abs(difference).max() <= 7
    assert -0.8 < difference.mean() < -0.3


def test_every_plain_colour_is_as_libjpeg_leaves_it():
    """Nothing but the first coefficient: there both decoders agree."""
    for colour in np.random.default_rng(3).integers(0, 256, (40, 3)):
        image = np.full((16, 16, 3), colour, dtype=np.uint8)
        assert np.array_equal(jpeg_round_trip(image), jpeg_round_trip(image, "accurate"))


def test_wrong_inputs_are_refused(picture):
    with pytest.raises(ConfigurationError, match="Unknown JPEG decoder 'fast'; choose one of"):
        jpeg_round_trip(picture(8, 8), "fast")
    with pytest.raises(ObservationError, match="must be uint8"):
        jpeg_round_trip(np.zeros((8, 8, 3)))
