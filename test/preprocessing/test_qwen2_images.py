"""Qwen2-VL's patches against transformers' own processor, and DexVLA's crop before them."""

import json

import numpy as np
import pytest

from dvla_ros.errors import CheckpointError, ConfigurationError, ObservationError
from dvla_ros.preprocessing.crop_and_resize import center_crop_sides
from dvla_ros.preprocessing.qwen2_images import Qwen2Images


@pytest.fixture
def folder(tmp_path, qwen2_folder):
    values = json.loads((qwen2_folder / "preprocessor_config.json").read_text())

    def write(*, without=(), **changes):
        kept = {name: value for name, value in (values | changes).items() if name not in without}
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(kept))
        return tmp_path

    return write


@pytest.mark.parametrize("shapes", [[(240, 320)], [(480, 640), (240, 320), (100, 75)], [(60, 60)], [(30, 500)]])
def test_patches_equal_transformers(folder, picture, shapes):
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    images = [picture(*shape, seed=index) for index, shape in enumerate(shapes)]
    processor = Qwen2VLImageProcessorPil.from_pretrained(str(folder()))
    expected = processor(images, return_tensors="np")
    patches = Qwen2Images.open(folder(), crop_ratio=1.0)(images)
    assert patches.grids.tolist() == expected["image_grid_thw"].tolist()
    assert patches.values.shape == (sum(h * w for _, h, w in patches.grids.tolist()), 1176)
    assert np.abs(patches.values.numpy() - expected["pixel_values"]).max() < 1e-5
    assert patches.tokens == [h * w // 4 for _, h, w in patches.grids.tolist()]


def test_the_crop_comes_first(folder, picture):
    image = picture(240, 320)
    cropped = Qwen2Images.open(folder())([image])
    by_hand = Qwen2Images.open(folder(), crop_ratio=1.0)([center_crop_sides(image, 0.95)])
    assert np.array_equal(cropped.values.numpy(), by_hand.values.numpy())
    assert cropped.tokens == [99]


def test_images_turn_only_when_asked(folder, picture):
    image = picture(56, 84)
    asked = Qwen2Images.open(folder(), crop_ratio=1.0, rotate_180=True)
    assert np.array_equal(asked.pixels(image), image[::-1, ::-1])
    assert np.array_equal(Qwen2Images.open(folder(), crop_ratio=1.0).pixels(image), image)


def test_newer_files_have_the_bounds_as_edges(folder, picture):
    size = {"shortest_edge": 3136, "longest_edge": 28 * 28 * 10}
    newer = Qwen2Images.open(folder(without=("min_pixels", "max_pixels"), size=size))
    assert newer([picture(480, 640)]).tokens[0] <= 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"without": ("patch_size",)}, "incomplete or wrong: 'patch_size'"),
        ({"without": ("min_pixels", "max_pixels")}, "incomplete or wrong: 'size'"),
        ({"image_std": [0.2]}, "three values each"),
        ({"temporal_patch_size": 4}, "has temporal_patch_size 4; it must be 2"),
        ({"min_pixels": 10**9}, "max_pixels at most"),
    ],
)
def test_wrong_files_are_refused(folder, changes, message):
    with pytest.raises(CheckpointError, match=message):
        Qwen2Images.open(folder(**changes))


def test_a_missing_file_is_refused_with_the_fix(tmp_path):
    with pytest.raises(CheckpointError, match="copy it from the base model, Qwen2-VL-2B-Instruct"):
        Qwen2Images.open(tmp_path)


def test_wrong_settings_and_images_are_refused(folder, picture):
    images = Qwen2Images.open(folder())
    with pytest.raises(ConfigurationError, match="crop_ratio must be"):
        Qwen2Images.open(folder(), crop_ratio=1.5)
    with pytest.raises(ConfigurationError, match="factor must be"):
        Qwen2Images(images.smart_resize, images.statistics, patch=16)
    with pytest.raises(ObservationError, match="There is no image"):
        images([])
    with pytest.raises(ObservationError, match="Image 0 must be uint8"):
        images([picture(20, 20)[..., 0]])
