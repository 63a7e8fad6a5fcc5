"""The chain of OpenVLA-OFT and Discrete Diffusion VLA, put together from its parts by hand."""

import json

import numpy as np
import pytest
import torch

from dvla_ros.errors import CheckpointError, ConfigurationError, ObservationError
from dvla_ros.preprocessing.crop_and_resize import center_crop_area
from dvla_ros.preprocessing.jpeg import jpeg_round_trip
from dvla_ros.preprocessing.lanczos import lanczos3_resize
from dvla_ros.preprocessing.prismatic_images import PrismaticImages, PrismaticSettings

DINO_MEAN, DINO_STD = [0.484375, 0.455078125, 0.40625], [0.228515625, 0.2236328125, 0.224609375]
CONFIG = {
    "image_processor_type": "PrismaticImageProcessor",
    "auto_map": {"AutoImageProcessor": "processing_prismatic.PrismaticImageProcessor"},
    "image_resize_strategy": "resize-naive",
    "input_sizes": [[3, 224, 224], [3, 224, 224]],
    "interpolations": ["bicubic", "bicubic"],
    "means": [DINO_MEAN, [0.5, 0.5, 0.5]],
    "stds": [DINO_STD, [0.5, 0.5, 0.5]],
    "use_fused_vision_backbone": True,
}


@pytest.fixture
def folder(tmp_path):
    def write(**changes):
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(CONFIG | changes))
        return tmp_path

    return write


def test_one_camera_is_two_normalised_copies_of_the_cropped_picture(folder, picture):
    image = picture(256, 256)
    values = PrismaticImages.open(folder())([image])
    seen = center_crop_area(lanczos3_resize(jpeg_round_trip(image), 224, 224)) / 255.0
    dino = (seen - DINO_MEAN) / DINO_STD
    assert values.shape == (6, 224, 224) and values.dtype == torch.float32
    assert np.abs(values[:3].numpy() - dino.transpose(2, 0, 1)).max() < 1e-5
    assert np.abs(values[3:].numpy() - (2 * seen - 1).transpose(2, 0, 1)).max() < 1e-6


def test_cameras_follow_one_another_and_keep_their_order(folder, picture):
    images = PrismaticImages.open(folder())
    first, second = picture(480, 640), picture(120, 160, seed=1)
    both = images([first, second])
    assert both.shape == (12, 224, 224)
    assert torch.equal(both, torch.cat([images([first]), images([second])]))


def test_images_turn_only_when_asked(folder, picture):
    image = picture(128, 128)
    turned = image[::-1, ::-1].copy()
    asked = PrismaticImages.open(folder(), PrismaticSettings(rotate_180=True))
    plain = PrismaticImages.open(folder())
    assert torch.equal(asked([image]), plain([turned]))
    assert not torch.equal(plain([image]), plain([turned]))


def test_each_step_can_be_left_out(folder, picture):
    image = picture(224, 224)
    nothing = PrismaticImages.open(folder(), PrismaticSettings(jpeg=None, center_crop=False))
    assert np.array_equal(nothing.pixels(image), image)
    only_jpeg = PrismaticImages.open(folder(), PrismaticSettings(jpeg="accurate", center_crop=False))
    assert np.array_equal(only_jpeg.pixels(image), jpeg_round_trip(image, "accurate"))
    only_crop = PrismaticImages.open(folder(), PrismaticSettings(jpeg=None))
    assert np.array_equal(only_crop.pixels(image), center_crop_area(image))


def test_a_single_tower_gives_three_channels(folder, picture):
    one = {"use_fused_vision_backbone": False, "input_sizes": [[3, 56, 56]], "means": [[0.5] * 3], "stds": [[0.5] * 3]}
    assert PrismaticImages.open(folder(**one))([picture(60, 60)]).shape == (3, 56, 56)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_resize_strategy": "letterbox"}, "asks for image_resize_strategy 'letterbox'; only 'resize-naive'"),
        ({"image_resize_strategy": "resize-crop"}, "asks for image_resize_strategy 'resize-crop'"),
        ({"input_sizes": [[3, 224, 224], [3, 384, 384]]}, "must have input_sizes"),
        ({"input_sizes": [[3, 224, 200]] * 2}, "must have input_sizes"),
        ({"means": [DINO_MEAN]}, "must have 2 means and stds for use_fused_vision_backbone=True"),
        ({"stds": None}, "must have 2 means and stds"),
        ({"stds": [[0.5, 0.5], [0.5] * 3]}, "three values each"),
        ({"stds": [[0.5, 0.5, 0.0], [0.5] * 3]}, "std must be more than 0"),
    ],
)
def test_other_files_are_refused_by_name(folder, changes, message):
    with pytest.raises(CheckpointError, match=message):
        PrismaticImages.open(folder(**changes))


def test_a_missing_or_broken_file_is_refused_with_the_fix(tmp_path):
    with pytest.raises(CheckpointError, match="There is no preprocessor_config.json in .* Copy it from the base model"):
        PrismaticImages.open(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text("{")
    with pytest.raises(CheckpointError, match="is not valid JSON"):
        PrismaticImages.open(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text("[]")
    with pytest.raises(CheckpointError, match="must hold a JSON object, got list"):
        PrismaticImages.open(tmp_path)


def test_wrong_settings_and_images_are_refused(folder, picture):
    with pytest.raises(ConfigurationError, match="Unknown jpeg 'png'"):
        PrismaticSettings(jpeg="png")
    with pytest.raises(ConfigurationError, match="crop_area must be"):
        PrismaticSettings(crop_area=0.0)
    with pytest.raises(ObservationError, match="There is no image"):
        PrismaticImages.open(folder())([])
    with pytest.raises(ObservationError, match="Image 1 must be uint8"):
        PrismaticImages.open(folder())([picture(30, 30), np.zeros((30, 30, 3))])
