"""LLaDA-V's single tile."""

import numpy as np
import pytest
import torch
from PIL import Image

from dvla_ros.errors import ConfigurationError, ObservationError
from dvla_ros.preprocessing.siglip_images import SiglipImages


def test_the_tile_is_pillows_bicubic_square_in_minus_one_to_one(picture):
    image = picture(480, 640)
    values = SiglipImages()(image)
    expected = np.asarray(Image.fromarray(image).resize((384, 384), Image.Resampling.BICUBIC)) / 127.5 - 1
    assert values.shape == (3, 384, 384) and values.dtype == torch.float32
    assert np.abs(values.numpy() - expected.transpose(2, 0, 1)).max() < 1e-6


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (41, 60)])
def test_padding_keeps_the_aspect_ratio_on_the_mean_colour(picture, shape):
    image = picture(*shape)
    tile = SiglipImages(size=60, fit="pad").pixels(image)
    top, left = (60 - shape[0]) // 2, (60 - shape[1]) // 2
    assert np.array_equal(tile[top : top + shape[0], left : left + shape[1]], image)
    outside = np.ones((60, 60), dtype=bool)
    outside[top : top + shape[0], left : left + shape[1]] = False
    assert (tile[outside] == 127).all()


def test_images_turn_only_when_asked(picture):
    image = picture(384, 384)
    assert np.array_equal(SiglipImages(rotate_180=True).pixels(image), image[::-1, ::-1])
    assert np.array_equal(SiglipImages().pixels(image), image)


def test_wrong_settings_and_images_are_refused():
    with pytest.raises(ConfigurationError, match="Unknown fit 'crop'"):
        SiglipImages(fit="crop")
    with pytest.raises(ConfigurationError, match="size must be 1 or more"):
        SiglipImages(size=0)
    with pytest.raises(ObservationError, match="must be uint8"):
        SiglipImages()(np.zeros((3, 10, 10), dtype=np.uint8))
