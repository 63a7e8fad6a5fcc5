"""The diffusion step's sines and cosines, number by number."""

import math

import pytest
import torch

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.step_waves import check_waves, dit_waves, unet_waves

WIDTH = 16
STEPS = torch.tensor([0, 1, 37, 99])


def test_the_u_net_has_sines_first_and_its_longest_wave_at_ten_thousand():
    waves = unet_waves(STEPS, WIDTH)
    for row, step in enumerate(STEPS.tolist()):
        phases = [step / 10_000 ** (i / 7) for i in range(8)]
        expected = [math.sin(p) for p in phases] + [math.cos(p) for p in phases]
        assert waves[row].tolist() == pytest.approx(expected, abs=1e-5)


def test_the_transformer_has_cosines_first_and_divides_by_the_number_of_waves():
    waves = dit_waves(STEPS, WIDTH)
    for row, step in enumerate(STEPS.tolist()):
        phases = [step / 10_000 ** (i / 8) for i in range(8)]
        expected = [math.cos(p) for p in phases] + [math.sin(p) for p in phases]
        assert waves[row].tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("waves", [unet_waves, dit_waves])
def test_released_weights_get_waves_in_bfloat16_which_are_not_the_same(waves):
    rounded = waves(torch.arange(100), 256, "bfloat16")
    assert rounded.dtype == torch.bfloat16
    assert (rounded.float() - waves(torch.arange(100), 256)).abs().max() > 0.1


@pytest.mark.parametrize(("width", "precision"), [(15, "float32"), (2, "float32"), (16, "float16")])
def test_waves_that_cannot_be_made_are_refused(width, precision):
    with pytest.raises(ConfigurationError, match=rf"got ({width}|'{precision}')"):
        check_waves(width, precision)
