"""Emu3's chain: sizes, values, and the way back."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from dvla_ros.errors import CheckpointError, ConfigurationError, ObservationError
from dvla_ros.preprocessing.emu3_images import Emu3Images

CONFIG = {
    "auto_map": {"AutoImageProcessor": "image_processing_emu3visionvq.Emu3VisionVQImageProcessor"},
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "max_pixels": 1048576,
    "min_pixels": 262144,
    "resample": 3,
    "spatial_factor": 8,
}


def write(folder, **changes):
    (folder / "preprocessor_config.json").write_text(json.dumps(CONFIG | changes))
    return folder


@pytest.mark.parametrize(
    ("camera", "size", "grid"),
    [((480, 640), (200, 200), (25, 25)), ((84, 84), (80, 80), (10, 10)), ((200, 200), None, (25, 25))],
)
def test_ud_vlas_cameras_become_their_grids_of_codes(tmp_path, picture, camera, size, grid):
    image = picture(*camera)
    values = Emu3Images.open(write(tmp_path), size)(image)
    expected = image if size is None else np.asarray(Image.fromarray(image).resize(size[::-1]))
    assert values.shape == (3, 8 * grid[0], 8 * grid[1])
    assert np.abs(values.numpy() - (expected / 127.5 - 1).transpose(2, 0, 1)).max() < 1e-6


def test_both_resizes_are_pillows_bicubic(picture):
    image = picture(123, 150)
    first = Image.fromarray(image).resize((130, 100), Image.Resampling.BICUBIC)
    expected = np.asarray(first.resize((128, 96), Image.Resampling.BICUBIC))
    assert np.array_equal(Emu3Images((100, 130)).pixels(image), expected)


def test_the_files_smallest_area_can_be_kept(tmp_path, picture):
    assert Emu3Images.open(write(tmp_path), min_pixels=262144).pixels(picture(80, 80)).shape == (512, 512, 3)


def test_images_turn_only_when_asked(picture):
    image = picture(80, 96)
    assert np.array_equal(Emu3Images(rotate_180=True).pixels(image), image[::-1, ::-1])
    assert np.array_equal(Emu3Images().pixels(image), image)


def test_decoded_values_become_the_image_they_came_from(picture):
    images, image = Emu3Images(), picture(80, 80)
    assert np.abs(images.to_image(images(image)).astype(int) - image).max() <= 1
    assert images.to_image(torch.tensor([-2.0, 0.0, 3.0]).reshape(3, 1, 1)).tolist() == [[[0, 127, 255]]]


def test_wrong_files_and_images_are_refused(tmp_path, picture):
    with pytest.raises(CheckpointError, match="There is no preprocessor_config.json .* BAAI/Emu3-VisionTokenizer"):
        Emu3Images.open(tmp_path)
    with pytest.raises(CheckpointError, match="asks for resample 2; it must be 3, bicubic"):
        Emu3Images.open(write(tmp_path, resample=2))
    with pytest.raises(CheckpointError, match="three values each"):
        Emu3Images.open(write(tmp_path, image_mean=[0.5]))
    with pytest.raises(CheckpointError, match="max_pixels at most"):
        Emu3Images.open(write(tmp_path, max_pixels=100))
    with pytest.raises(ConfigurationError, match="camera_size must be positive"):
        Emu3Images((0, 80))
    with pytest.raises(ObservationError, match="5 times the other"):
        Emu3Images()(picture(40, 400))
    with pytest.raises(ObservationError, match=r"must be \[3, h, w\], got \[4, 2, 2\]"):
        Emu3Images().to_image(torch.zeros(4, 2, 2))
