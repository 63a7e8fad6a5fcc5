"""An image as it comes back from JPEG: the training data of several systems went through it, so deployment does too."""

import io
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dvla_ros.errors import ConfigurationError
from dvla_ros.preprocessing.jpeg_blocks import compressed_plane, quantization
from dvla_ros.preprocessing.jpeg_color import chroma, doubled, halved, luma, to_rgb
from dvla_ros.preprocessing.rgb_image import RgbImage, require_rgb

JpegDecoder = Literal["tensorflow", "accurate"]

_QUALITY = 95  # TensorFlow's default


def jpeg_round_trip(image: RgbImage, decoder: JpegDecoder = "tensorflow") -> RgbImage:
    """Compress at quality 95 with halved chroma, and decompress.

    `tensorflow` is `tf.io.decode_image(tf.io.encode_jpeg(image))`: TensorFlow decodes with libjpeg's fast inverse
    transform, which no other common library does. Entropy coding loses nothing and is left out. `accurate` is Pillow's
    round trip through libjpeg-turbo's accurate transform, several times faster and a few levels away.

    Args:
        image: uint8 `[H, W, 3]`.
        decoder: Whose inverse transform.

    Returns:
        uint8 `[H, W, 3]`.

    Raises:
        ObservationError: The image is not uint8 `[H, W, 3]`.
        ConfigurationError: There is no such decoder.
    """
    require_rgb(image)
    if decoder == "tensorflow":
        return _fast_round_trip(image)
    if decoder == "accurate":
        return _pillow_round_trip(image)
    raise ConfigurationError(f"Unknown JPEG decoder '{decoder}'; choose one of {get_args(JpegDecoder)}.")


def _pillow_round_trip(image: RgbImage) -> RgbImage:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="JPEG", quality=_QUALITY, subsampling="4:2:0")
    return np.asarray(Image.open(stream).convert("RGB"))


def _fast_round_trip(image: RgbImage) -> RgbImage:
    height, width = image.shape[:2]
    brightness = _whole_blocks(luma(image))
    restored = compressed_plane(brightness, _table(True))[:height, :width]
    colours = []
    for plane in chroma(image):
        wide = np.pad(plane, ((0, 0), (0, -width % 16)), mode="edge")
        small = _whole_blocks(halved(wide))
        decoded = compressed_plane(small, _table(False))[: (height + 1) // 2, : (width + 1) // 2]
        colours.append(doubled(decoded, height, width))
    return to_rgb(restored, *colours)


def _whole_blocks(plane: NDArray[np.int32]) -> NDArray[np.int32]:
    """The plane with its last row and column repeated up to a multiple of 8."""
    height, width = plane.shape
    return np.pad(plane, ((0, -height % 8), (0, -width % 8)), mode="edge")


@lru_cache(maxsize=2)
def _table(is_luma: bool) -> NDArray[np.int32]:
    return quantization(_QUALITY, is_luma=is_luma)
