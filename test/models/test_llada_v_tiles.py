"""Tiles and their features are put together as in `transformers`' LLaVA-OneVision, which shares the way."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from transformers.models.llava_onevision.modeling_llava_onevision import (
    LlavaOnevisionModel,
    get_anyres_image_grid_shape,
)

from dvla_ros.errors import CheckpointError
from dvla_ros.models.llada_v_tiles import ImageForm

TILE, SIDE, WIDTH = 384, 9, 5
PINPOINTS = "(1x1),...,(6x6)"
PAIRS = [[TILE * across, TILE * down] for across in range(1, 7) for down in range(1, 7)]
SHAPES = [(640, 480), (384, 384), (1280, 720), (480, 640), (320, 240), (1920, 1080), (2000, 300), (641, 479)]


def anyres(ratio: str = "anyres_max_4", merge: str = "spatial_unpad") -> ImageForm:
    values = {"image_aspect_ratio": ratio, "mm_patch_merge_type": merge, "image_grid_pinpoints": PINPOINTS}
    return ImageForm.from_json(values, TILE)


def features(tiles: int) -> Tensor:
    return torch.randn(tiles, SIDE**2, WIDTH, generator=torch.Generator().manual_seed(tiles))


NEWLINE = torch.arange(WIDTH) + 100.0


SMALL_TILE = SIDE * 14
SMALL_PAIRS = [[a // TILE * SMALL_TILE, b // TILE * SMALL_TILE] for a, b in PAIRS]


def reference() -> SimpleNamespace:
    """What the reference looks at of its model: tiles of 9 x 9 patches of 14 pixels."""
    vision = SimpleNamespace(image_size=SMALL_TILE, patch_size=14)
    return SimpleNamespace(config=SimpleNamespace(vision_config=vision, image_grid_pinpoints=SMALL_PAIRS))


@pytest.mark.parametrize(("width", "height"), SHAPES)
def test_the_grid_is_that_of_llava_onevision(width: int, height: int):
    rows, columns = get_anyres_image_grid_shape((height, width), [pair[::-1] for pair in PAIRS], TILE)
    assert anyres().grid(width, height) == (columns * TILE, rows * TILE)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (384, 384), (1280, 720), (480, 640), (1920, 1080)])
def test_the_sequence_is_that_of_llava_onevision(width: int, height: int):
    small = (round(width * SMALL_TILE / TILE), round(height * SMALL_TILE / TILE))
    form = ImageForm("anyres", "spatial", True, tuple((a, b) for a, b in SMALL_PAIRS), 4)
    columns, rows = (size // SMALL_TILE for size in form.grid(*small))
    tiles = features(1 + columns * rows)
    expected, _ = LlavaOnevisionModel.pack_image_features(
        reference(), [tiles], torch.tensor([[small[1], small[0]]]), NEWLINE, vision_aspect_ratio="anyres_max_4"
    )
    joined = form.join(tiles, NEWLINE, *small, SMALL_TILE)
    assert joined.shape == expected[0].shape
    torch.testing.assert_close(joined, expected[0])


def test_a_camera_image_of_640_by_480_is_a_grid_of_two_by_two():
    form = anyres()
    assert form.grid(640, 480) == (768, 768)
    tiles = torch.zeros(5, 729, 1)
    # 54 rows of patches, of which int(480 * 54 / 640) = 40 show the image and 7 on either side are black.
    assert len(form.join(tiles, torch.ones(1), 640, 480, TILE)) == 729 + 40 * (54 + 1)


@pytest.mark.parametrize(("merge", "length"), [("flat", 81), ("spatial", 81), ("spatial_unpad", 82)])
def test_one_tile_ends_with_a_newline_only_where_margins_are_cut(merge: str, length: int):
    form = ImageForm.from_json({"mm_patch_merge_type": merge}, TILE)
    tiles = features(1)
    joined = form.join(tiles, NEWLINE, 640, 480, TILE)
    assert len(joined) == length
    assert torch.equal(joined[:81], tiles[0])
    assert length == 81 or torch.equal(joined[81], NEWLINE)


def test_flat_tiles_follow_each_other_and_spatial_ones_lie_as_in_the_image():
    tiles = features(3)
    assert torch.equal(anyres(merge="flat").join(tiles, NEWLINE, 768, 384, TILE), tiles.flatten(0, 1))
    joined = anyres("anyres", "spatial").join(tiles, NEWLINE, 768, 384, TILE)
    assert torch.equal(joined[:81], tiles[0])
    assert torch.equal(joined[81 : 81 + SIDE], tiles[1, :SIDE])
    assert torch.equal(joined[81 + SIDE : 81 + 2 * SIDE], tiles[2, :SIDE])


def test_grids_may_be_listed_in_pixels():
    for pinpoints in ([[384, 768], [768, 384]], "[(384, 768), (768, 384)]"):
        values = {"image_aspect_ratio": "anyres", "image_grid_pinpoints": pinpoints}
        assert ImageForm.from_json(values, TILE).grids == ((384, 768), (768, 384))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"image_aspect_ratio": "highres"}, "image_aspect_ratio must be .* got 'highres'"),
        ({"mm_patch_merge_type": "spatial_maxpool2x2"}, "got 'spatial_maxpool2x2'"),
        ({"image_aspect_ratio": "anyres_max_4"}, "image_grid_pinpoints must be .* got None"),
        ({"image_aspect_ratio": "anyres", "image_grid_pinpoints": [[384, 400]]}, "multiples of 384"),
        ({"image_aspect_ratio": "anyres", "image_grid_pinpoints": "(1x1),...,(99999x99999)"}, "got '\\(1x1"),
    ],
)
def test_an_unknown_form_is_refused(values: dict[str, object], message: str):
    with pytest.raises(CheckpointError, match=message):
        ImageForm.from_json(values, TILE)
