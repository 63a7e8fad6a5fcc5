"""LLaDA-VLA's loss: every token masked on its own with probability t, a softmax over the action tokens alone."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_vla import (
    ACTION,
    COLUMNS,
    VOCABULARY,
    FixedLogits,
    found_losses,
    learn,
    mean_of_last,
    noise,
    random_batch,
    random_tokens,
    seeded,
    tiny_config,
)
from torch.nn import functional

from dvla_ros.denoising.corruption import mask_independently
from dvla_ros.errors import ConfigurationError
from dvla_ros.models.canvas_io import SegmentSizes
from dvla_ros.models.small_vla import SmallVla
from dvla_ros.training.objectives.llada_vla import LladaVlaObjective, LladaVlaObjectiveConfig

LENGTH = ACTION.length
LOSS_ALONE = {"grounding": 0.0, "localising": 0.0}


@pytest.fixture
def batch():
    return random_batch(random_tokens(4, LENGTH, VOCABULARY))


@pytest.fixture
def model():
    return FixedLogits(tiny_config(), torch.randn(4, LENGTH, VOCABULARY, generator=seeded(5)))


CENTRES = torch.linspace(-1.0, 1.0, VOCABULARY)


def losses(model, batch, seed=0, **settings):
    config = LladaVlaObjectiveConfig(**{**LOSS_ALONE, **settings})
    return found_losses(LladaVlaObjective(config, model.config.canvas, CENTRES), model, batch, seed)


def test_the_expectation_is_the_distance_of_the_mean_action(batch):
    model = FixedLogits(tiny_config(), torch.where(torch.arange(VOCABULARY) == 3, 0.0, -1e4))
    found = losses(model, batch, masks=1, expectation=0.1)
    masked = model.canvases == VOCABULARY
    error = (CENTRES[batch.targets.tokens] - CENTRES[3]).abs()[masked].mean()
    assert found.parts["expectation"].item() == pytest.approx(error.item(), rel=1e-4)
    assert found.total.item() == pytest.approx(found.parts["tokens"].item() + 0.1 * error.item(), rel=1e-4)
    assert "expectation" not in losses(model, batch, masks=1).parts


def test_an_expectation_needs_tokens_that_are_numbers():
    config = LladaVlaObjectiveConfig(expectation=0.1)
    with pytest.raises(ConfigurationError, match="set expectation=0"):
        LladaVlaObjective(config, tiny_config().canvas)


def test_it_is_the_mean_cross_entropy_of_the_masked_tokens_without_a_shift(model, batch):
    found = losses(model, batch, masks=1)
    masked = model.canvases == VOCABULARY
    expected = functional.cross_entropy(model.answer[masked], batch.targets.tokens[masked])
    assert found.total.item() == found.parts["tokens"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert (model.canvases[~masked] == batch.targets.tokens[~masked]).all()


def test_any_number_of_masked_tokens_is_equally_likely(batch):
    """Binomial(L, t) with t ~ U(0, 1) is uniform on 0..L; a fixed number per ratio would not reach 0 and L alike."""
    model = FixedLogits(tiny_config(), torch.zeros(()))
    losses(model, batch, masks=3000)
    counts = (model.canvases == VOCABULARY).sum(dim=1).numpy()
    found = (counts[:, None] <= np.arange(LENGTH + 1)).mean(axis=0)
    assert np.abs(found - np.arange(1, LENGTH + 2) / (LENGTH + 1)).max() < 0.02


def test_inverse_time_divides_by_the_ratio_of_the_canvas(model, batch):
    found = losses(model, batch, masks=1, weight="inverse_time").total.item()
    _, masked, ratio = mask_independently(batch.targets.tokens, VOCABULARY, noise(4))
    log_p = torch.log_softmax(model.answer, dim=-1)
    expected = 0.0
    for row, column in masked.nonzero().tolist():
        expected -= log_p[row, column, batch.targets.tokens[row, column]].item() / ratio[row].item()
    assert found == pytest.approx(expected / masked.numel(), rel=1e-5)


def test_inverse_time_counts_every_token_once_on_average(batch):
    model = FixedLogits(tiny_config(), torch.zeros(()))
    found = losses(model, batch, masks=2000, weight="inverse_time")
    assert found.total.item() == pytest.approx(math.log(VOCABULARY), rel=0.05)


def test_a_canvas_without_a_masked_token_costs_nothing(batch):
    one = random_batch(batch.targets.tokens[:1])
    model = FixedLogits(tiny_config(), torch.zeros(1, LENGTH, VOCABULARY).requires_grad_())
    for seed in range(100):
        found = losses(model, one, seed, masks=1)
        if not (model.canvases == VOCABULARY).any():
            break
    assert not (model.canvases == VOCABULARY).any()
    (gradient,) = torch.autograd.grad(found.total, model.answer)
    assert found.total.item() == 0.0 and (gradient == 0.0).all()


@pytest.mark.parametrize("weight", ["none", "inverse_time"])
def test_rows_that_were_being_executed_are_shown_and_not_taught(model, batch, weight):
    model.answer.requires_grad_()
    moving = replace(batch, frozen=torch.tensor([0, 1, 2, 1]))
    found = losses(model, moving, masks=1, weight=weight)
    masked, found_total = model.canvases == VOCABULARY, found.total.item()
    found.total.backward()
    taught = (model.answer.grad != 0).any(dim=-1)
    assert torch.equal(taught, masked) and not masked[2].any()
    assert not masked[[1, 3], :COLUMNS].any() and masked[[1, 3], COLUMNS:].any()
    if weight == "none":
        expected = functional.cross_entropy(model.answer[masked], batch.targets.tokens[masked]).item()
        assert found_total == pytest.approx(expected, rel=1e-5)


def test_inverse_time_still_counts_every_free_token_once(batch):
    model = FixedLogits(tiny_config(), torch.zeros(()))
    moving = replace(batch, frozen=torch.tensor([0, 1, 0, 1]))
    found = losses(model, moving, masks=2000, weight="inverse_time")
    assert found.total.item() == pytest.approx(math.log(VOCABULARY), rel=0.05)


def test_frequencies_of_a_moving_arm_are_not_taught(batch):
    sizes = tiny_config(SegmentSizes("action", 1, LENGTH, VOCABULARY))
    model = FixedLogits(sizes, torch.zeros(4, LENGTH, VOCABULARY).requires_grad_())
    losses(model, replace(batch, frozen=torch.tensor([0, 1, 2, 0])), masks=1).total.backward()
    assert (model.answer.grad != 0).any(dim=-1).any(dim=-1).tolist() == [True, False, False, True]


def test_neighbouring_intervals_are_nearly_right_where_asked_for(batch):
    beside = functional.one_hot((batch.targets.tokens + 1).clamp_max(VOCABULARY - 1), VOCABULARY)
    near = FixedLogits(tiny_config(), 6.0 * beside.float())
    strict, lenient = (losses(near, batch, masks=1, neighbours=n).total for n in (0.0, 0.8))
    assert lenient < strict - 0.5


def test_a_small_batch_can_be_learned_by_heart(batch):
    torch.manual_seed(0)
    model = SmallVla(tiny_config())
    model.perception.requires_grad_(False)
    history = learn(model, LladaVlaObjective(LladaVlaObjectiveConfig(), model.config.canvas), batch, steps=120)
    assert mean_of_last(history, "tokens") < 0.5 * history[0]["tokens"]
    assert set(history[0]) == {"tokens"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"masks": 0}, "masks must be 1 or more and weights 0 or more"),
        ({"localising": -1.0}, "masks must be 1 or more and weights 0 or more"),
        ({"weight": "time"}, "weight must be none or inverse_time, got 'time'"),
    ],
)
def test_settings_out_of_range_are_refused(change, words):
    with pytest.raises(ConfigurationError, match=words):
        LladaVlaObjectiveConfig(**change)
