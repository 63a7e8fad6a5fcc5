"""Decoders are chosen and changed by plain values."""

import pytest

from dvla_ros.denoising.masked import MaskedConfig, MaskedDenoiser
from dvla_ros.denoising.registry import DECODERS, complete_settings, decoder_config, make_decoder, override
from dvla_ros.errors import ConfigurationError


def test_settings_become_the_decoder_they_name():
    decoder = make_decoder({"decoder": "masked", "num_steps": 5})
    assert isinstance(decoder, MaskedDenoiser)
    assert decoder.config == MaskedConfig(num_steps=5)


@pytest.mark.parametrize("name", sorted(DECODERS))
def test_complete_settings_are_read_back_as_the_same_config(name):
    settings = complete_settings({"decoder": name})
    assert set(settings) > {"decoder"}
    assert decoder_config(settings) == DECODERS[name][0]()


def test_a_change_keeps_the_other_settings_and_another_decoder_starts_afresh():
    settings = complete_settings({"decoder": "masked", "num_steps": 5, "greedy": True})

    assert decoder_config(override(settings, {"num_steps": 6})) == MaskedConfig(num_steps=6, greedy=True)
    assert override(settings, {"decoder": "threshold"}) == complete_settings({"decoder": "threshold"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "Unknown decoder None; choose one of .*masked"),
        ({"decoder": "best"}, "Unknown decoder 'best'"),
        ({"decoder": "masked", "steps": 3}, r"no settings \['steps'\]; it has .*num_steps"),
        ({"decoder": "masked", "num_steps": "many"}, "'masked' cannot use .*'many'"),
        ({"decoder": "masked", "num_steps": 0}, "at least 1, got 0"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    for read in (decoder_config, make_decoder, complete_settings):
        with pytest.raises(ConfigurationError, match=message):
            read(settings)


def test_a_text_is_no_boolean():
    with pytest.raises(ConfigurationError, match="'greedy' is true or false, got 'False'"):
        decoder_config({"decoder": "masked", "greedy": "False"})
