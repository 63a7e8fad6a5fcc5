"""Tiles equal those of `transformers`' LLaVA-OneVision processor, which shares the way of cutting."""

import numpy as np
import pytest
import torch
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil

from dvla_ros.errors import ObservationError
from dvla_ros.models.llada_v_tiles import ImageForm
from dvla_ros.policies.published.llada_v_images import TileCutter

HALF = [0.5, 0.5, 0.5]
ANYRES = ImageForm.from_json({"image_aspect_ratio": "anyres_max_4", "image_grid_pinpoints": "(1x1),...,(6x6)"}, 384)


def photo(height: int, width: int) -> np.ndarray:
    """Smooth shapes with noise, so that a wrong filter and a wrong place both show."""
    generator = np.random.default_rng(height)
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([np.sin(x / 17) + np.cos(y / 23), np.sin(x * y / 9000), x / width + y / height], axis=-1)
    return np.clip(smooth * 60 + 128 + generator.normal(0, 20, smooth.shape), 0, 255).astype(np.uint8)


def reference(*images: np.ndarray) -> np.ndarray:
    processor = LlavaOnevisionImageProcessorPil(image_mean=HALF, image_std=HALF)
    return np.asarray(processor([list(images)], return_tensors="np")["pixel_values"])


@pytest.mark.parametrize(("height", "width"), [(480, 640), (384, 384), (360, 640), (300, 200)])
def test_a_grid_of_tiles_is_that_of_llava_onevision(height: int, width: int):
    image = photo(height, width)
    tiles = TileCutter(ANYRES, 384)(image, "front")
    expected = torch.from_numpy(reference(image)[0])
    assert (tiles.width, tiles.height) == (width, height)
    assert tiles.pixels.shape == expected.shape
    assert float((tiles.pixels - expected).abs().max()) <= 2 / 255


def test_a_padded_tile_is_that_of_llava_onevision():
    images = photo(480, 640), photo(300, 200)
    cut = TileCutter(ImageForm("pad"), 384)
    for image, expected in zip(images, reference(*images), strict=True):
        tiles = cut(image, "front").pixels
        assert tiles.shape == (1, 3, 384, 384)
        assert float((tiles - torch.from_numpy(expected.reshape(1, 3, 384, 384))).abs().max()) <= 2 / 255


def test_an_image_is_turned_before_it_is_cut():
    image = photo(480, 640)
    turned = TileCutter(ANYRES, 384, turned=True)(image, "front").pixels
    assert torch.equal(turned, TileCutter(ANYRES, 384)(image[::-1, ::-1].copy(), "front").pixels)


def test_what_is_no_image_is_refused_with_its_camera():
    with pytest.raises(ObservationError, match="camera wrist"):
        TileCutter(ImageForm(), 384)(np.zeros((4, 4), np.uint8), "wrist")
