"""The decoder of docs/how_to/add_a_decoder.md, taken from the page, is a decoder like every other."""

import importlib.util
import inspect
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from oracles import action_canvas, peaked_on
from untrained import CAMERAS, write_untrained

from dvla_ros.control.observation import Observation
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.registry import DECODERS, make_decoder
from dvla_ros.errors import ConfigurationError
from dvla_ros.policies.load import load_policy

pytest.register_assert_rewrite("test_every_decoder")
import test_every_decoder as every_decoder  # noqa: E402

PAGE = Path(__file__).parents[2] / "docs" / "how_to" / "add_a_decoder.md"
CHECKS = {
    name: check
    for name, check in vars(every_decoder).items()
    if name.startswith("test_") and list(inspect.signature(check).parameters) == ["example"]
}


def block(kind):
    """The text of the page's first code block that begins with this."""
    found = re.search(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found, f"{PAGE.name} has no block ```{kind}"
    return found[1]


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """The page's file, imported as a module."""
    file = tmp_path_factory.mktemp("page") / "decoder_of_the_page.py"
    file.write_text(block("python"), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = loaded  # where dataclasses look up the names in annotations
    spec.loader.exec_module(loaded)
    yield loaded
    del sys.modules[file.stem]


@pytest.fixture
def name(module, monkeypatch):
    """The name under which the page's line registers it."""
    ((registered, classes),) = eval("{" + block("python registry") + "}", vars(module)).items()
    monkeypatch.setitem(DECODERS, registered, classes)
    return registered


def test_the_page_does_not_describe_a_decoder_that_exists_already():
    assert block("python registry").split('"')[1] not in DECODERS


def test_there_are_checks_of_every_decoder():
    assert len(CHECKS) >= 7


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_it_passes_what_every_decoder_has_to_pass(check, name):
    (example,) = eval("[" + block("python example") + "]", vars(every_decoder))
    assert example.decoder == name
    check(example=example)


@pytest.mark.parametrize("patience", [1, 3])
def test_what_is_proposed_again_is_settled_at_once(name, patience):
    canvas = action_canvas()
    answer = torch.arange(canvas.length).remainder(canvas.vocabulary).unsqueeze(0)

    decoder = make_decoder({"decoder": name, "patience": patience})
    result = denoise(peaked_on(answer, canvas.vocabulary), canvas, decoder, seeds=(0,))

    assert torch.equal(result.tokens, answer)
    # The surest token of each step until the others have been proposed `patience` times more.
    expected = [*[1] * patience, canvas.length - patience]
    assert [int(step.committed.sum()) for step in result.trace] == expected


def test_a_network_that_changes_its_mind_gets_one_token_a_step_and_the_rest_in_the_last(name):
    canvas = action_canvas(steps=4, dims=5)
    calls = []

    def fickle(tokens):
        calls.append(tokens)
        always_another = torch.full_like(tokens, len(calls) % canvas.vocabulary)
        return peaked_on(always_another, canvas.vocabulary)(tokens)

    result = denoise(fickle, canvas, make_decoder({"decoder": name, "num_steps": 6}), seeds=(0,))

    assert [int(step.committed.sum()) for step in result.trace] == [1, 1, 1, 1, 1, 15]


@pytest.mark.parametrize("settings", [{"num_steps": 0}, {"patience": 0}, {"warm_keep": 1.5}, {"speed": 1}])
def test_wrong_settings_are_refused_by_name(name, settings):
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        make_decoder({"decoder": name, **settings})


@pytest.mark.parametrize("system", ["dd_vla", "ud_vla"])
def test_a_policy_decodes_with_it(name, system, tmp_path):
    checkpoint = write_untrained(tmp_path / system, system)
    images = {camera: np.full((48, 64, 3), 99, dtype=np.uint8) for camera in CAMERAS}
    observation = Observation(stamp=0.0, images=images, state=np.full(7, 0.1), instruction="pick up the red cube")

    policy = load_policy(checkpoint, decoding={"decoder": name, "num_steps": 4})
    first, second = (policy.predict(observation, seed=seed) for seed in (0, 1))

    assert first.actions.shape == (policy.spec.horizon, 7)
    assert first.nfe == len(first.trace) <= 4
    assert (first.trace[-1].tokens < first.mask_token).all()
    assert np.array_equal(first.tokens, second.tokens)  # it takes arg-max values, so the seed decides nothing
