"""Pictures are augmented by the published formulas, and alike wherever the same example is made."""

import colorsys

import numpy as np
import pytest

from dvla_ros.errors import ConfigurationError
from dvla_ros.policies.systems import SYSTEMS
from dvla_ros.preprocessing.crop_and_resize import center_crop_area
from dvla_ros.training import dexvla_augmentation as dexvla
from dvla_ros.training import openvla_augmentation as openvla
from dvla_ros.training.augmentation import AUGMENTATIONS, published_augmentation, unchanged
from dvla_ros.training.dexvla_augmentation import DexVlaAugmentation
from dvla_ros.training.draws import Use, draws
from dvla_ros.training.openvla_augmentation import OpenVlaAugmentation

STILL = {"area": 1.0, "brightness": 0.0, "contrast": (1.0, 1.0), "saturation": (1.0, 1.0), "hue": 0.0}
CALM = {"side": 1.0, "degrees": 0.0, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0}


@pytest.fixture(scope="module")
def images():
    """Two smooth pictures, as of two cameras."""
    y, x = np.mgrid[:24, :32]
    one = np.stack([60 + 5 * x, 200 - 4 * y, 40 + 2 * x + 3 * y], axis=-1)
    return np.stack([one, one[::-1, ::-1]]).astype(np.uint8)


def rng(number=0):
    return draws(5, number, Use.AUGMENTATION)


@pytest.mark.parametrize("augment", AUGMENTATIONS.values())
def test_the_same_example_is_augmented_alike_and_the_next_otherwise(images, augment):
    first, again, other = augment(images, rng()), augment(images, rng()), augment(images, rng(1))
    assert (first.dtype, first.shape) == (np.uint8, images.shape) and np.array_equal(first, again)
    assert np.array_equal(first, other) == (augment is unchanged)


def test_every_system_has_what_its_authors_publish():
    assert set(AUGMENTATIONS) == set(SYSTEMS)
    assert published_augmentation("dd_vla") == OpenVlaAugmentation()
    assert published_augmentation("diffusion_vla") == DexVlaAugmentation()
    assert published_augmentation("llada_vla") is unchanged
    with pytest.raises(ConfigurationError, match="no system 'rt_1'"):
        published_augmentation("rt_1")


@pytest.mark.parametrize("augment", [OpenVlaAugmentation(**STILL), DexVlaAugmentation(**CALM)])
def test_without_strength_nothing_changes(images, augment):
    assert np.array_equal(augment(images, rng()), images)


def test_a_crop_in_the_middle_is_the_one_of_test_time(images):
    values = images[0].astype(np.float32) / 255
    found = (openvla.cropped(values, 0.9, 0.5, 0.5) * 255.5).astype(np.uint8)
    assert np.abs(found.astype(int) - center_crop_area(images[0])).max() <= 1


@pytest.mark.parametrize(("down", "across"), [(0.0, 0.0), (1.0, 0.0), (0.25, 0.75)])
def test_a_crop_keeps_its_corners_where_they_are_drawn(down, across):
    y, x = np.mgrid[:11, :21].astype(np.float32)
    values = np.stack([y / 10, x / 20, 0 * x], axis=-1)
    found, side = openvla.cropped(values, 0.81, down, across), 0.9
    for corner, (row, column) in {(0, 0): (0, 0), (-1, -1): (side, side)}.items():
        expected = [down * (1 - side) + row, across * (1 - side) + column, 0.0]
        assert found[corner] == pytest.approx(expected, abs=1e-5)


def test_released_crops_lie_on_the_diagonal_and_the_paper_s_anywhere():
    y, x = np.mgrid[:16, :16].astype(np.uint8) * 16
    image = np.stack([y, x, x], axis=-1)[None]
    still = STILL | {"area": 0.5}
    for diagonal in (True, False):
        corners = np.array([OpenVlaAugmentation(**still, diagonal=diagonal)(image, rng(n))[0, 0, 0] for n in range(40)])
        assert corners[:, :2].min() < 15 and corners[:, :2].max() > 55
        assert np.array_equal(corners[:, 0], corners[:, 1]) == diagonal


def test_brightness_is_added_and_clipped():
    assert openvla.brightened(np.float32([0.1, 0.9]), 0.2) == pytest.approx([0.3, 1.0])
    assert openvla.brightened(np.float32([0.1, 0.9]), -0.2) == pytest.approx([0.0, 0.7])


def test_contrast_is_about_the_mean_of_each_colour():
    values = np.float32([[[0.2, 0.5, 0.0], [0.4, 0.5, 1.0]]])
    expected = np.float32([[[0.18, 0.5, 0.0], [0.42, 0.5, 1.0]]])
    np.testing.assert_allclose(openvla.contrasted(values, 1.2), expected, atol=1e-6)


@pytest.mark.parametrize(("saturation", "hue"), [(0.8, 0.0), (1.2, 0.05), (1.0, -0.05), (9.0, 0.3)])
def test_colours_change_in_hsv(saturation, hue):
    values = np.random.default_rng(0).random((6, 7, 3), dtype=np.float32)
    recoloured = openvla.recoloured(values, saturation, hue)
    for found, value in zip(recoloured.reshape(-1, 3), values.reshape(-1, 3), strict=True):
        h, s, v = colorsys.rgb_to_hsv(*value.astype(float))
        assert found == pytest.approx(colorsys.hsv_to_rgb((h + hue) % 1.0, min(s * saturation, 1.0), v), abs=1e-4)


def test_every_strength_of_openvla_s_reaches_its_end():
    grey = np.full((1, 4, 4, 3), 128, np.uint8)
    still = STILL | {"brightness": 0.2}
    means = [OpenVlaAugmentation(**still)(grey, rng(n)).mean() for n in range(300)]
    assert 77 <= min(means) < 80 and 176 < max(means) <= 179


@pytest.mark.parametrize("change", [{"area": 0.0}, {"brightness": 2.0}, {"contrast": (1.2, 0.8)}, {"hue": 0.6}])
def test_openvla_s_strengths_out_of_range_are_refused(change):
    with pytest.raises(ConfigurationError, match=next(iter(change))):
        OpenVlaAugmentation(**change)


def test_all_cameras_of_dexvla_are_changed_alike(images):
    both = DexVlaAugmentation(contrast=0.0)(np.stack([images[0], images[0]]), rng())
    assert np.array_equal(both[0], both[1]) and not np.array_equal(both[0], images[0])


def test_a_quarter_turn_is_counter_clockwise_and_a_half_turn_swaps_the_ends():
    image = np.random.default_rng(0).integers(0, 256, (1, 5, 5, 3), dtype=np.uint8)
    assert np.array_equal(dexvla.rotated(image, 90.0)[0], np.rot90(image[0]))
    assert np.array_equal(dexvla.rotated(image, 180.0)[0], image[0, ::-1, ::-1])


def test_what_turns_into_the_picture_is_black():
    white = np.full((1, 40, 60, 3), 255, np.uint8)
    turned = dexvla.rotated(white, 5.0)[0]
    assert not turned[0, 0].any() and turned[20, 30].all() and (turned == 0).mean() < 0.1


def test_a_picture_keeps_its_level_when_it_is_resized_back():
    ramp = np.broadcast_to(np.arange(0, 190, 10, dtype=np.uint8)[None, None, :, None], (1, 8, 19, 3))
    found = dexvla.resized(ramp, 8, 20)[0, 3, :, 0]
    assert (found[0], found[-1]) == (0, 180) and np.array_equal(found, np.sort(found))
    assert found[10] == pytest.approx(((10 + 0.5) * 19 / 20 - 0.5) * 10, abs=0.51)


@pytest.mark.parametrize("factor", [0.5, 1.3])
def test_jitter_of_dexvla_s_blends_with_black_mean_grey_and_own_grey(images, factor):
    image = images[:1]
    grey = np.floor(image.astype(np.float32) @ np.float32([0.2989, 0.587, 0.114]))[..., None]
    for change, other in ((dexvla.brightened, 0.0), (dexvla.contrasted, grey.mean()), (dexvla.saturated, grey)):
        expected = np.clip(factor * image.astype(float) + (1 - factor) * other, 0, 255)
        difference = expected - change(image, factor)
        assert -0.01 <= difference.min() and difference.max() < 1.01


@pytest.mark.parametrize("change", [{"side": 0.0}, {"degrees": 200.0}, {"brightness": 1.5}, {"saturation": -0.1}])
def test_dexvla_s_strengths_out_of_range_are_refused(change):
    with pytest.raises(ConfigurationError, match=next(iter(change))):
        DexVlaAugmentation(**change)
