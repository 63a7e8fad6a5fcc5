"""UD-VLA's loss: images and actions masked independently, one weighted mean over what was masked."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_vla import FixedLogits, found_losses, learn, mean_of_last, random_batch, random_tokens, seeded, tiny_config
from torch.nn import functional

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.canvas_io import SegmentSizes
from dvla_ros.models.small_vla import SmallVla
from dvla_ros.training.objectives.ud_vla import UdVlaObjective, UdVlaObjectiveConfig

BOI, EOI, EOA, BOA = 8, 9, 15, 16
IMAGE_VOCABULARY, VOCABULARY = 10, 17
MASK = VOCABULARY
IMAGES, ACTIONS = 12, 15
LENGTH = IMAGES + ACTIONS
BORDERS = (0, 5, 6, 11, 12)
"""BOI, EOI, BOI, EOI, BOA."""
SEGMENTS = (
    SegmentSizes("image_front", 1, 6, IMAGE_VOCABULARY, ordered=False, prefilled=(BOI, -1, -1, -1, -1, EOI)),
    SegmentSizes("image_wrist", 1, 6, IMAGE_VOCABULARY, ordered=False, prefilled=(BOI, -1, -1, -1, -1, EOI)),
    SegmentSizes("action", 1, ACTIONS, VOCABULARY, prefilled=(BOA, *(-1,) * 14)),
)
CONFIG = tiny_config(*SEGMENTS)
LOSS_ALONE = {"grounding": 0.0, "localising": 0.0}


def canvases(rows):
    tokens = torch.cat([random_tokens(rows, IMAGES, 8), random_tokens(rows, ACTIONS, EOA)], dim=1)
    tokens[:, BORDERS] = torch.tensor([BOI, EOI, BOI, EOI, BOA])
    return tokens


@pytest.fixture
def batch():
    return random_batch(canvases(6))


@pytest.fixture
def many():
    """4000 canvases of one observation."""
    return random_batch(canvases(1).repeat(2500, 1))


def random_answer():
    """Random logits `[6, L, V]`, -inf where an image has no such code."""
    answer = torch.randn(6, LENGTH, VOCABULARY, generator=seeded(5))
    answer[:, :IMAGES, IMAGE_VOCABULARY:] = -torch.inf
    return answer


def losses(model, batch, end=None, seed=0, **settings):
    config = UdVlaObjectiveConfig(**{**LOSS_ALONE, **settings})
    return found_losses(UdVlaObjective(config, CONFIG.canvas, end), model, batch, seed)


def masked_of(batch, **settings):
    model = FixedLogits(CONFIG, torch.zeros(()))
    losses(model, batch, **settings)
    return model.canvases == MASK


def weighted_cross_entropy(answer, tokens, supervised, vision_weight):
    """torch's own weighted mean, over one joint vocabulary: image codes first, then action tokens."""
    joint = torch.full((len(tokens), LENGTH, IMAGE_VOCABULARY + VOCABULARY), -torch.inf)
    joint[:, :IMAGES, :IMAGE_VOCABULARY] = answer[:, :IMAGES, :IMAGE_VOCABULARY]
    joint[:, IMAGES:, IMAGE_VOCABULARY:] = answer[:, IMAGES:]
    labels = tokens.clone()
    labels[:, IMAGES:] += IMAGE_VOCABULARY
    labels[~supervised] = -100
    weight = torch.tensor([vision_weight] * IMAGE_VOCABULARY + [1.0] * VOCABULARY)
    return functional.cross_entropy(joint.flatten(0, 1), labels.flatten(), weight).item()


@pytest.mark.parametrize("vision_weight", [0.5, 0.2, 1.0])
def test_it_is_the_weighted_cross_entropy_of_the_masked_tokens(batch, vision_weight):
    model = FixedLogits(CONFIG, random_answer())
    found = losses(model, batch, vision_weight=vision_weight)
    masked = model.canvases == MASK
    assert (model.canvases[~masked] == batch.targets.tokens[~masked]).all()
    expected = weighted_cross_entropy(model.answer, batch.targets.tokens, masked, vision_weight)
    assert found.total.item() == pytest.approx(expected, rel=1e-5)


def test_the_parts_are_the_unweighted_means_of_images_and_actions(batch):
    model = FixedLogits(CONFIG, random_answer())
    found = losses(model, batch)
    masked = model.canvases == MASK
    for name, span in (("images", slice(0, IMAGES)), ("tokens", slice(IMAGES, LENGTH))):
        where = masked.clone()
        where[:, : span.start] = where[:, span.stop :] = False
        expected = functional.cross_entropy(model.answer[where], batch.targets.tokens[where])
        assert found.parts[name].item() == pytest.approx(expected.item(), rel=1e-5)


def test_each_segment_draws_its_own_number_by_the_cosine_but_no_less_than_a_tenth(many):
    """n = max(1, round(length max(cos(pi u / 2), 0.1))), both images being one segment here."""
    masked = masked_of(many, fixed_borders=False)
    counts = masked[:, :IMAGES].sum(dim=1).numpy(), masked[:, IMAGES:].sum(dim=1).numpy()
    for count, length, least in zip(counts, (IMAGES, ACTIONS), (1, 2), strict=True):
        k = np.arange(least, length)
        expected = 1 - 2 / math.pi * np.arccos((k + 0.5) / length)
        assert count.min() == least and count.max() == length
        assert np.abs((count[:, None] <= k).mean(axis=0) - expected).max() < 0.03
    assert abs(np.corrcoef(*counts)[0, 1]) < 0.05


def test_fixed_ratios_replace_the_cosine(many):
    masked = masked_of(many, fixed_borders=False, mask_ratios=(0.25, 0.5, 0.75))
    assert set(masked[:, :IMAGES].sum(dim=1).tolist()) == {3, 6, 9}
    assert set(masked[:, IMAGES:].sum(dim=1).tolist()) == {4, 8, 11}  # 3.75, 7.5 and 11.25, a half to even


def test_borders_stay_visible_unless_the_published_runs_flag_is_taken(many):
    fixed, free = (masked_of(many, fixed_borders=value) for value in (True, False))
    assert not fixed[:, BORDERS].any()
    assert (free[:, BORDERS].float().mean(dim=0) > 0.4).all()


def test_masked_borders_are_supervised(batch):
    model = FixedLogits(CONFIG, random_answer().requires_grad_())
    losses(model, batch, fixed_borders=False).total.backward()
    taught = (model.answer.grad != 0).any(dim=-1)
    assert torch.equal(taught, model.canvases == MASK) and taught[:, BORDERS].any()


def test_clean_images_are_shown_whole_and_not_supervised(batch):
    model = FixedLogits(CONFIG, random_answer())
    found = losses(model, batch, clean_images=1.0)
    masked = model.canvases == MASK
    assert not masked[:, :IMAGES].any() and found.parts["images"].item() == 0.0
    expected = functional.cross_entropy(model.answer[masked], batch.targets.tokens[masked])
    assert found.total.item() == pytest.approx(expected.item(), rel=1e-5)


def test_as_many_canvases_have_clean_images_as_asked_for(many):
    clean = ~masked_of(many, clean_images=0.75, fixed_borders=False)[:, :IMAGES].any(dim=1)
    assert clean.float().mean().item() == pytest.approx(0.75, abs=0.02)


def test_the_world_model_stage_hides_all_actions_and_teaches_images_alone(batch):
    model = FixedLogits(CONFIG, random_answer().requires_grad_())
    found = losses(model, batch, stage="world_model")
    assert (model.canvases[:, IMAGES] == BOA).all() and (model.canvases[:, IMAGES + 1 :] == MASK).all()
    found.total.backward()
    assert (model.answer.grad[:, IMAGES:] == 0).all() and model.answer.grad[:, :IMAGES].abs().max() > 0
    assert found.total.item() == pytest.approx(found.parts["images"].item(), rel=1e-5)
    assert found.parts["tokens"].item() == 0.0


def padded(batch, end_at):
    tokens = batch.targets.tokens.clone()
    tokens[:, IMAGES + end_at :] = EOA
    return replace(batch, targets=replace(batch.targets, tokens=tokens))


def test_what_follows_the_end_of_the_actions_is_hidden_and_not_supervised(batch):
    short = padded(batch, end_at=6)
    model = FixedLogits(CONFIG, random_answer().requires_grad_())
    losses(model, short, end=EOA).total.backward()
    assert (model.canvases[:, IMAGES + 7 :] == MASK).all()
    taught = (model.answer.grad != 0).any(dim=-1)
    assert not taught[:, IMAGES + 7 :].any() and taught[:, IMAGES : IMAGES + 7].any()


def test_the_number_of_masked_actions_is_a_share_of_those_before_the_end(many):
    masked = masked_of(padded(many, end_at=6), end=EOA, fixed_borders=False, mask_ratios=(0.3,))
    assert set(masked[:, IMAGES : IMAGES + 7].sum(dim=1).tolist()) == {2}  # of BOA, five tokens and EOA


def test_the_end_of_the_actions_may_be_repeated_instead(many):
    masked = masked_of(padded(many, end_at=6), end=EOA, masked_padding=False)
    assert 0.3 < masked[:, IMAGES + 7 :].float().mean() < 0.9


def moving(batch, *frozen):
    return replace(batch, frozen=torch.tensor(frozen))


def test_rows_that_were_being_executed_are_shown_and_not_taught(batch):
    """Where every number has a token of its own; behind BOA the chunk has two rows of seven."""
    model = FixedLogits(CONFIG, random_answer().requires_grad_())
    losses(model, moving(batch, 0, 1, 2, 1, 1, 0), fixed_borders=False, mask_ratios=(1.0,)).total.backward()
    masked = model.canvases == MASK
    assert masked.sum(dim=1).tolist() == [LENGTH - 7 * d for d in (0, 1, 2, 1, 1, 0)]
    assert not masked[1, IMAGES + 1 : IMAGES + 8].any() and masked[1, IMAGES + 8 :].all()
    assert torch.equal((model.answer.grad != 0).any(dim=-1), masked)


def test_frequencies_of_a_moving_arm_are_not_taught_and_its_images_are(batch):
    model = FixedLogits(CONFIG, random_answer().requires_grad_())
    losses(model, moving(batch, 0, 1, 2, 0, 0, 0), end=EOA).total.backward()
    masked, taught = model.canvases == MASK, (model.answer.grad != 0).any(dim=-1)
    assert masked[1:3, IMAGES:].any() and not taught[1:3, IMAGES:].any()
    assert torch.equal(taught[:, :IMAGES], masked[:, :IMAGES])
    assert torch.equal(taught[[0, 3, 4, 5]], masked[[0, 3, 4, 5]])


def test_a_small_batch_can_be_learned_by_heart():
    torch.manual_seed(0)
    model = SmallVla(tiny_config(*SEGMENTS, seen_segments=2))
    model.perception.requires_grad_(False)
    batch = random_batch(canvases(4), seen=canvases(4)[:, :IMAGES])
    objective = UdVlaObjective(UdVlaObjectiveConfig(), CONFIG.canvas)
    history = learn(model, objective, batch, steps=120)
    for name in ("images", "tokens"):
        assert mean_of_last(history, name) < 0.5 * history[0][name]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stage": "post"}, "stage must be one of .*'post'"),
        ({"vision_weight": -1.0}, "Weights must be 0 or more"),
        ({"least_ratio": 0.0}, "least_ratio must lie in 0..1, above 0"),
        ({"clean_images": 1.5}, "clean_images in 0..1"),
        ({"mask_ratios": (0.5, 0.0)}, "mask_ratios must lie in 0..1, above 0"),
    ],
)
def test_settings_out_of_range_are_refused(change, words):
    with pytest.raises(ConfigurationError, match=words):
        UdVlaObjectiveConfig(**change)
