"""DFM-VLA's loss: the whole chunk is to be told from a point of the probability path that the decoder will follow."""

from dataclasses import replace

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

from dvla_ros.denoising.flow import FlowConfig
from dvla_ros.denoising.flow_paths import embedding_distance, sample_times
from dvla_ros.denoising.state import Scores
from dvla_ros.errors import ConfigurationError
from dvla_ros.models.canvas_io import SegmentSizes
from dvla_ros.models.small_vla import SmallVla
from dvla_ros.training.objectives.dfm_vla import DfmVlaObjective, DfmVlaObjectiveConfig

LENGTH = ACTION.length
DISTANCE = embedding_distance(torch.randn(VOCABULARY, 5, generator=seeded(7)))
CANVAS = tiny_config().canvas
LOSS_ALONE = {"grounding": 0.0, "localising": 0.0}


@pytest.fixture
def batch():
    return random_batch(random_tokens(4, LENGTH, VOCABULARY))


def objective(flow=None, canvas=CANVAS, **settings):
    config = DfmVlaObjectiveConfig(**{**LOSS_ALONE, **settings})
    return DfmVlaObjective(config, flow or FlowConfig(), canvas, DISTANCE)


class FixedRates(FixedLogits):
    """Also gives the same rate for every token."""

    def __init__(self, rate):
        super().__init__(tiny_config(rate_head=True), torch.zeros(()))
        self.rate = torch.tensor(rate)

    def logits(self, prefix, tokens):
        logits = super().logits(prefix, tokens)
        return Scores(logits, self.rate.expand_as(logits))


def frequencies(flow, first, count=30_000):
    """How often each id stands where `first` is the true one, over many draws: float `[V + 1]`."""
    batch = random_batch(torch.full((1, LENGTH), first))
    model = FixedLogits(tiny_config(), torch.zeros(()))
    found_losses(objective(flow, draws=count // LENGTH), model, batch)
    return torch.bincount(model.canvases.flatten(), minlength=VOCABULARY + 1) / model.canvases.numel()


def test_it_is_the_cross_entropy_of_all_tokens_changed_or_not(batch):
    model = FixedLogits(tiny_config(), torch.randn(4, LENGTH, VOCABULARY, generator=seeded(5)))
    found = found_losses(objective(draws=1), model, batch)
    expected = functional.cross_entropy(model.answer.flatten(0, 1), batch.targets.tokens.flatten())
    assert found.total.item() == pytest.approx(expected.item(), rel=1e-5)
    same = model.canvases == batch.targets.tokens
    assert same.any() and not same.all()


def test_rows_that_were_being_executed_stay_clean_and_are_not_taught(batch):
    answer = torch.randn(4, LENGTH, VOCABULARY, generator=seeded(5))
    model = FixedLogits(tiny_config(), answer.requires_grad_())
    found = found_losses(objective(draws=1), model, replace(batch, frozen=torch.tensor([0, 1, 2, 1])))
    free = torch.ones(4, LENGTH, dtype=torch.bool)
    free[2] = free[1, :COLUMNS] = free[3, :COLUMNS] = False
    expected = functional.cross_entropy(model.answer[free], batch.targets.tokens[free])
    assert found.total.item() == pytest.approx(expected.item(), rel=1e-5)
    same = model.canvases == batch.targets.tokens
    assert same[~free].all() and not same[free].all()


def test_the_rates_of_clean_rows_cost_nothing(batch):
    model = FixedRates(0.36787944)
    moving = replace(batch, frozen=torch.full((4,), 1))
    found = found_losses(objective(FlowConfig(path="head"), draws=50, greatest_weight=1.5), model, moving)
    time = sample_times(noise(4).spread(50))
    wrong = model.canvases != batch.targets.tokens.repeat_interleave(50, dim=0)
    weight = (1 / (1 - time)).clamp_max(1.5)
    expected = (VOCABULARY - 1) * 0.36787944 + (wrong * weight.unsqueeze(1))[:, COLUMNS:].mean()
    assert found.parts["rates"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_frequencies_of_a_moving_arm_are_noisy_all_over_and_not_taught(batch):
    sizes = tiny_config(SegmentSizes("action", 1, LENGTH, VOCABULARY))
    model = FixedLogits(sizes, torch.zeros(4, LENGTH, VOCABULARY).requires_grad_())
    found_losses(
        objective(canvas=sizes.canvas, draws=1), model, replace(batch, frozen=torch.tensor([0, 1, 2, 0]))
    ).total.backward()
    assert (model.answer.grad != 0).any(dim=-1).any(dim=-1).tolist() == [True, False, False, True]
    assert (model.canvases != batch.targets.tokens)[1:3, :COLUMNS].any()


def test_the_noisy_tokens_come_from_the_embedding_path():
    """Over t ~ U(0, 1), x stands for x_1 as often as softmax_x(-c t / (1 - t) d(x, x_1)) says on average."""
    time = (torch.arange(2000) + 0.5) / 2000 * 0.999
    each = torch.softmax(-3.0 * (time / (1 - time)).unsqueeze(1) * DISTANCE[4], dim=-1)
    found = frequencies(FlowConfig(), first=4)
    assert found[:VOCABULARY] == pytest.approx(each.mean(dim=0), abs=0.02) and found[VOCABULARY] == 0
    assert found[4] == found.max()


def test_the_constants_of_the_path_are_the_decoders():
    assert frequencies(FlowConfig(c=0.2), first=4)[4] < frequencies(FlowConfig(c=20.0), first=4)[4] - 0.2


@pytest.mark.parametrize(("source", "elsewhere"), [("uniform", 0.5 / VOCABULARY), ("mask", 0.0)])
def test_the_noisy_tokens_come_from_the_mixture_path(source, elsewhere):
    """Half of the time, on average, the token is still from the source."""
    found = frequencies(FlowConfig(path="mixture", source=source), first=4)
    expected = torch.full((VOCABULARY + 1,), elsewhere)
    expected[4] += 0.5
    expected[VOCABULARY] = 0.5 if source == "mask" else 0.0
    assert found == pytest.approx(expected, abs=0.02)


def test_late_on_the_path_little_is_left_to_correct(batch):
    """On the mixture path a token is wrong with probability (1 - t) (1 - 1 / V)."""
    model = FixedLogits(tiny_config(), torch.zeros(()))
    found_losses(objective(FlowConfig(path="mixture"), draws=300), model, batch)
    time = sample_times(noise(4).spread(300))  # the objective's first draw
    wrong = (model.canvases != batch.targets.tokens.repeat_interleave(300, dim=0)).float().mean(dim=1)
    for low in (0.0, 0.25, 0.5, 0.75):
        here = (time >= low) & (time < low + 0.25)
        expected = (1 - time[here].mean()) * (1 - 1 / VOCABULARY)
        assert wrong[here].mean().item() == pytest.approx(expected.item(), abs=0.03)


@pytest.mark.parametrize("greatest", [1.5, 20.0])
def test_the_rates_are_paid_by_their_sum_and_earn_by_the_clipped_weight(batch, greatest):
    """With u = 1/e everywhere: leaving costs (V - 1)/e, and each wrong token another min(1 / (1 - t), greatest)."""
    model = FixedRates(0.36787944)
    flow = FlowConfig(path="head")
    found = found_losses(objective(flow, draws=50, rates=0.5, greatest_weight=greatest), model, batch)
    time = sample_times(noise(4).spread(50))  # the objective's first draw
    wrong = model.canvases != batch.targets.tokens.repeat_interleave(50, dim=0)
    weight = (1 / (1 - time)).clamp_max(greatest)
    expected = (VOCABULARY - 1) * 0.36787944 + (wrong * weight.unsqueeze(1)).mean()
    assert found.parts["rates"].item() == pytest.approx(expected.item(), rel=1e-4)
    assert found.total.item() == pytest.approx((found.parts["tokens"] + 0.5 * found.parts["rates"]).item(), rel=1e-5)


def test_a_rate_head_needs_the_mixture_path(batch):
    with pytest.raises(ConfigurationError, match="set path=head"):
        found_losses(objective(FlowConfig(path="embedding")), FixedRates(0.1), batch)


def test_a_small_batch_can_be_learned_by_heart(batch):
    torch.manual_seed(0)
    model = SmallVla(tiny_config())
    model.perception.requires_grad_(False)
    history = learn(model, objective(), batch, steps=120)
    assert mean_of_last(history, "tokens") < 0.5 * history[0]["tokens"]


def test_a_rate_head_learns_to_leave_wrong_tokens(batch):
    torch.manual_seed(0)
    model = SmallVla(tiny_config(rate_head=True))
    model.perception.requires_grad_(False)
    history = learn(model, objective(FlowConfig(path="head"), rates=1.0), batch, steps=120)
    assert mean_of_last(history, "rates", 16) < 0.5 * sum(parts["rates"] for parts in history[:8]) / 8


@pytest.mark.parametrize("change", [{"draws": 0}, {"rates": -0.1}, {"greatest_weight": 0.0}, {"neighbours": -1.0}])
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(ConfigurationError, match="draws must be 1 or more, weights 0 or more and greatest_weight"):
        DfmVlaObjectiveConfig(**change)
