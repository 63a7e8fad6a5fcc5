"""The published loss of Discrete Diffusion VLA, beside the language model's own way of writing it."""

import torch
from fine_tuned import opened
from torch.nn import functional

from dvla_ros.training.batch import example_noise, losses
from dvla_ros.training.published.families import objective_of
from dvla_ros.training.published.presets import PRESETS


@torch.no_grad()
def test_it_is_one_mean_over_masked_actions_and_eos_with_the_whole_vocabulary(checkpoint, deployment, recorded):
    family = opened(checkpoint("dd_vla"), deployment("dd_vla"), recorded)
    objective = objective_of(family.setup, family.network, PRESETS["dd_vla"])
    batch, noise = family.batch(0, 1, 3), example_noise(0, range(3))
    found = losses(objective, family.learner, batch, noise)
    exercise = objective.exercise(batch, noise)
    logits = family.learner.sequence_logits(family.learner.prefix(batch), exercise.canvas)
    assert logits.shape[-1] == 32064
    masked = exercise.canvas == family.network.canvas.mask_token
    labels = torch.where(masked, 32000 - (exercise.tokens + 1), -100)
    labels = torch.cat([labels, torch.full((3, 1), 2)], dim=1)
    expected = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
    torch.testing.assert_close(found.total, expected)
    assert float(exercise.counts["sequence"]) == int(masked.sum()) + 3


@torch.no_grad()
def test_the_action_logits_are_a_part_of_the_sequences(checkpoint, deployment, recorded):
    family = opened(checkpoint("dd_vla"), deployment("dd_vla"), recorded)
    prefix, canvases = family.learner.prefix(family.batch(1)), family.canvases(1)
    own, whole = family.learner.logits(prefix, canvases), family.learner.sequence_logits(prefix, canvases)
    torch.testing.assert_close(own, whole[:, :-1, 31744:32000].flip(-1))
