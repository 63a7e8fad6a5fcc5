"""What a step computes, and how far a converted network is from its teacher."""

from dataclasses import replace

import pytest
import torch

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.decode.counted import counted_work
from dvla_ros.policies.load import load_policy
from dvla_ros.policies.published.recognise import read_setup
from dvla_ros.training.agreement import Teacher
from dvla_ros.training.batch import example_noise, losses
from dvla_ros.training.published.families import blank_batch
from dvla_ros.training.published.fine_tuning import FineTuning
from dvla_ros.training.published.flops import Utilisation, model_flop
from dvla_ros.training.published.presets import PRESETS


def test_a_full_step_is_three_times_the_way_forward_and_an_adapter_saves_a_third(checkpoint, deployment):
    folder, used = checkpoint("dd_vla"), deployment("dd_vla")
    full = PRESETS["dd_vla_full"]
    run = FineTuning.open(folder, used, full, dtype=torch.float32)
    batch, noise = blank_batch(run.setup, full, 1), example_noise(0, range(1))
    with torch.no_grad():
        forward = counted_work(lambda: losses(run.objective, run.learner, batch, noise)).flop
    assert 2.8 < model_flop(run.setup, full, torch.float32) / forward < 3.1
    thin = replace(PRESETS["dd_vla"], low_rank=replace(PRESETS["dd_vla"].low_rank, rank=1))
    assert 1.9 < model_flop(read_setup(folder, used), thin, torch.float32) / forward < 2.4


def test_utilisation_is_what_was_computed_of_what_could_have_been():
    assert Utilisation(1e12, devices=4, peak=1e13).of(examples_per_second=16.0) == pytest.approx(0.4)
    with pytest.raises(ConfigurationError, match="positive"):
        Utilisation(1e12, 0, 1e15)


def test_a_converted_network_is_compared_with_its_teacher(checkpoint, deployment, recorded):
    teacher, converted = (
        load_policy(checkpoint("llada_vla"), deployment=deployment("llada_vla", attention=attention))
        for attention in ("full", "block_causal")
    )
    source = recorded(read_setup(checkpoint("llada_vla"), deployment("llada_vla")))
    frames = [source.frame(row).observation for row in range(2)]
    asked = Teacher(teacher, frames)
    itself = asked.agreement(teacher)
    assert (itself.frames, itself.tokens, itself.chunks) == (2, 1.0, 1.0) and not itself.distance.any()
    before = asked.agreement(converted)
    assert before.tokens < 1.0 and before.chunks < 1.0 and before.distance.max() > 0
    with pytest.raises(ConfigurationError, match="no frames"):
        Teacher(teacher, [])
