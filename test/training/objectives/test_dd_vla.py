"""Discrete Diffusion VLA's loss counts masked tokens only, masks as published, and goes down when a network learns."""

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
    random_batch,
    random_tokens,
    seeded,
    tiny_config,
)
from torch.nn import functional

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.canvas_io import SegmentSizes
from dvla_ros.models.small_vla import SmallVla
from dvla_ros.training.objectives.dd_vla import DdVlaObjective, DdVlaObjectiveConfig

CENTRES = torch.linspace(-1.0, 1.0, VOCABULARY)
PUBLISHED = {
    "masks": 1,
    "neighbours": 0.0,
    "expectation": 0.0,
    "average": "tokens",
    "grounding": 0.0,
    "localising": 0.0,
}


@pytest.fixture
def batch():
    return random_batch(random_tokens(4, ACTION.length, VOCABULARY))


def answering(answer):
    return FixedLogits(tiny_config(), answer)


def losses(model, batch, **settings):
    objective = DdVlaObjective(DdVlaObjectiveConfig(**settings), model.config.canvas, CENTRES)
    return found_losses(objective, model, batch)


def cross_entropies(logits, tokens):
    """float `[B, L]`, by torch's own cross-entropy."""
    logits = logits.expand(*tokens.shape, VOCABULARY)
    return functional.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="none").reshape(tokens.shape)


def test_the_published_form_is_the_cross_entropy_of_the_masked_tokens(batch):
    model = answering(torch.randn(4, ACTION.length, VOCABULARY, generator=seeded(5)))
    found = losses(model, batch, **PUBLISHED)
    masked = model.canvases == VOCABULARY
    assert len(set(masked.sum(dim=1).tolist())) > 1
    expected = functional.cross_entropy(model.answer[masked], batch.targets.tokens[masked])
    assert found.total.item() == pytest.approx(expected.item(), rel=1e-5)


def test_only_masked_tokens_are_hidden_and_each_canvas_counts_the_same(batch):
    model = answering(torch.linspace(0.0, 2.0, VOCABULARY))
    found = losses(model, batch, masks=3, neighbours=0.0)
    truth = batch.targets.tokens.repeat_interleave(3, dim=0)
    masked = model.canvases == VOCABULARY
    assert (model.canvases[~masked] == truth[~masked]).all()
    each = cross_entropies(model.answer, truth)
    expected = torch.stack([row[m].mean() for row, m in zip(each, masked, strict=True)]).mean()
    assert found.parts["tokens"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_number_of_masked_tokens_follows_the_cosine():
    """n = max(1, round(56 cos(pi u / 2))), so P(n <= k) = 1 - 2/pi arccos((k + 1/2) / 56)."""
    config = tiny_config(SegmentSizes("action", 8, 7, VOCABULARY))
    model = FixedLogits(config, torch.zeros(()))
    batch = random_batch(random_tokens(2, 56, VOCABULARY))
    losses(model, batch, **{**PUBLISHED, "masks": 4000})
    counts = (model.canvases == VOCABULARY).sum(dim=1).numpy()
    assert counts.min() == 1 and counts.max() == 56
    k = np.arange(1, 56)
    expected = 1 - 2 / math.pi * np.arccos((k + 0.5) / 56)
    found = (counts[:, None] <= k).mean(axis=0)
    assert np.abs(found - expected).max() < 0.02


def test_a_token_to_be_recovered_may_be_shown(batch):
    shares = []
    for probability in (0.0, 0.5):
        model = answering(torch.zeros(()))
        settings = {**PUBLISHED, "masks": 200, "no_mask_token_prob": probability}
        loss = losses(model, batch, **settings).total.item()
        assert loss == pytest.approx(math.log(VOCABULARY), rel=1e-5)
        shares.append((model.canvases == VOCABULARY).float().mean().item())
        truth = batch.targets.tokens.repeat_interleave(200, dim=0)
        assert ((model.canvases == VOCABULARY) | (model.canvases == truth)).all()
    assert shares[1] == pytest.approx(0.5 * shares[0], rel=0.05)


def test_a_shown_token_is_still_taught(batch):
    """All canvases are nearly complete: what the network is taught is what the loss counts, not what it sees."""
    model = answering(torch.zeros(4, ACTION.length, VOCABULARY).requires_grad_())
    losses(model, batch, **PUBLISHED, no_mask_token_prob=0.99).total.backward()
    taught = (model.answer.grad != 0).any(dim=-1)
    assert taught.sum() > 4 * (model.canvases == VOCABULARY).sum()


def test_the_parts_add_up_with_their_weights(batch):
    torch.manual_seed(0)
    found = losses(SmallVla(tiny_config()), batch, expectation=0.3, grounding=0.2, localising=5.0)
    weights = {"tokens": 1.0, "expectation": 0.3, "grounding": 0.2, "localising": 5.0}
    expected = sum(weight * found.parts[name].item() for name, weight in weights.items())
    assert set(found.parts) == set(weights) and found.total.item() == pytest.approx(expected, rel=1e-5)


def test_an_untrained_network_knows_about_as_much_as_chance(batch):
    torch.manual_seed(0)
    found = losses(SmallVla(tiny_config()), batch, neighbours=0.0)
    assert found.parts["tokens"].item() == pytest.approx(math.log(VOCABULARY), rel=0.25)


def test_the_expectation_is_the_distance_of_the_mean_action(batch):
    model = answering(torch.where(torch.arange(VOCABULARY) == 3, 0.0, -1e4))
    found = losses(model, batch, masks=1)
    masked = model.canvases == VOCABULARY
    error = (CENTRES[batch.targets.tokens] - CENTRES[3]).abs()
    expected = torch.stack([row[m].mean() for row, m in zip(error, masked, strict=True)]).mean()
    assert found.parts["expectation"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_tokens_of_no_row_are_neither_given_nor_taught_where_rows_were_being_executed(batch):
    """FAST tokens are frequencies of the whole chunk: all have the executed rows in them."""
    answer = torch.randn(4, ACTION.length, VOCABULARY, generator=seeded(5)).requires_grad_()
    model = FixedLogits(tiny_config(SegmentSizes("action", 1, ACTION.length, VOCABULARY)), answer)
    moving = replace(batch, frozen=torch.tensor([0, 1, 2, 0]))
    losses(model, moving, **PUBLISHED).total.backward()
    assert (model.canvases == VOCABULARY)[:, 0].any()
    assert (answer.grad != 0).flatten(1).any(dim=1).tolist() == [True, False, False, True]
    with pytest.raises(ConfigurationError, match="set inpainting=0"):
        losses(model, batch, **PUBLISHED, inpainting=0.5)


@pytest.mark.parametrize("average", ["canvas", "tokens"])
def test_rows_that_were_being_executed_are_shown_and_not_taught(batch, average):
    model = answering(torch.randn(4, ACTION.length, VOCABULARY, generator=seeded(5)).requires_grad_())
    moving = replace(batch, frozen=torch.tensor([0, 1, 2, 1]))
    found = losses(model, moving, **{**PUBLISHED, "average": average})
    found.total.backward()
    masked = model.canvases == VOCABULARY
    assert torch.isfinite(found.total) and not masked[2].any() and not masked[[1, 3], :COLUMNS].any()
    assert masked[:2].any(dim=1).all()
    assert torch.equal((model.answer.grad != 0).any(dim=-1), masked)


def test_neighbouring_bins_are_nearly_right(batch):
    beside = functional.one_hot((batch.targets.tokens + 1).clamp_max(VOCABULARY - 1), VOCABULARY)
    model = answering(6.0 * beside.float())
    strict, lenient = (losses(model, batch, masks=1, neighbours=n).parts["tokens"] for n in (0.0, 0.8))
    assert lenient < strict - 0.5


def test_a_small_batch_can_be_learned_by_heart(batch):
    torch.manual_seed(0)
    model = SmallVla(tiny_config())
    objective = DdVlaObjective(DdVlaObjectiveConfig(neighbours=0.0), model.config.canvas, CENTRES)
    history = learn(model, objective, batch, steps=80)
    for name, share in (("tokens", 0.5), ("grounding", 0.8), ("localising", 0.5)):
        assert mean_of_last(history, name) < share * history[0][name]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"masks": 0}, "masks must be 1 or more and weights 0 or more"),
        ({"neighbours": -0.1}, "masks must be 1 or more and weights 0 or more"),
        ({"grounding": -1.0}, "masks must be 1 or more and weights 0 or more"),
        ({"no_mask_token_prob": 1.0}, "no_mask_token_prob must be in 0..1, below 1, got 1.0"),
        ({"average": "batch"}, "average must be one of .*'batch'"),
        ({"schedule": "sine"}, "sine"),
    ],
)
def test_settings_out_of_range_are_refused(change, words):
    with pytest.raises(ConfigurationError, match=words):
        DdVlaObjectiveConfig(**change)
