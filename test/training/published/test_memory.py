"""The memory of fine-tuning: what the rehearsal says is what a step takes, and too little of it is refused in time."""

from dataclasses import replace

import pytest
import torch
from published import DEPLOYMENTS

from dvla_ros.errors import DeviceMemoryError
from dvla_ros.policies.checkpoint import dataclass_from_json
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.fresh import WRITERS
from dvla_ros.policies.published.recognise import read_setup
from dvla_ros.training.batch import example_noise, losses
from dvla_ros.training.published.families import blank_batch
from dvla_ros.training.published.fine_tuning import FineTuning
from dvla_ros.training.published.memory import Devices, plan_training, require_training_memory
from dvla_ros.training.published.presets import PRESETS
from dvla_ros.training.published.rehearsal import LiveBytes


def measured(run):
    """Most bytes that live at a time of a real step of the second micro-batch, beside weights and gradients."""
    count = run.preset.micro_batch
    noise = example_noise(0, range(count))

    def step():
        batch = run.completed(blank_batch(run.setup, run.preset, count))
        losses(run.objective, run.learner, batch, noise).total.backward()

    step()
    live = LiveBytes()
    live.before(*run.module.parameters(), *run.module.buffers(), *(p.grad for p in run.trained.values()))
    with live:
        step()
    return live.peak


@pytest.mark.parametrize(("name", "checkpointing"), [("dd_vla", True), ("dd_vla_full", False)])
def test_the_rehearsal_says_what_a_step_takes(name, checkpointing, checkpoint, deployment):
    preset = replace(PRESETS[name], micro_batch=2, checkpointing=checkpointing)
    system = preset.system
    run = FineTuning.open(checkpoint(system), deployment(system), preset, dtype=torch.float32)
    plan = plan_training(run.setup, preset, dtype=torch.float32)
    assert plan.activations == pytest.approx(measured(run), rel=0.1)


@pytest.fixture(scope="module")
def seven_billion(tmp_path_factory):
    """A Prismatic of true size, with holes for weights."""
    folder = tmp_path_factory.mktemp("true") / "dd_vla--50000_chkpt"
    WRITERS["dd_vla"](folder, size="true", seed=0, weights=False)
    return read_setup(folder, dataclass_from_json(Deployment, DEPLOYMENTS["dd_vla"]))


def test_the_published_adapter_of_seven_billion_fits_eighty_gigabytes(seven_billion):
    # Layers that are run again take less; this is the most, and sooner counted.
    plan = plan_training(seven_billion, replace(PRESETS["dd_vla"], checkpointing=False))
    assert 15.1e9 < plan.weights < 16.0e9  # bfloat16, and the adapter in float32
    assert plan.optimiser == 2 * plan.gradients < 2e9
    assert plan.needed < 80e9


def test_what_does_not_fit_is_refused_with_what_would(checkpoint, deployment):
    setup = read_setup(checkpoint("dd_vla"), deployment("dd_vla"))
    preset = replace(PRESETS["dd_vla"], micro_batch=2)
    plan = plan_training(setup, preset)
    with pytest.raises(DeviceMemoryError, match="cuda:0 has .* are missing. What fits: micro_batch=1 "):
        require_training_memory(setup, preset, "cuda:0", plan.needed - plan.activations // 3)


def test_several_devices_share_what_is_sharded(checkpoint, deployment):
    setup = read_setup(checkpoint("dd_vla"), deployment("dd_vla"))
    preset = replace(PRESETS["dd_vla_full"], micro_batch=1)
    copied = plan_training(setup, preset, Devices(4))
    sharded = require_training_memory(setup, preset, "cuda:0", copied.needed, Devices(4, sharded=True))
    assert copied.gradients == copied.optimiser  # one copy in DDP's buckets
    assert sharded.optimiser == copied.optimiser // 4 and sharded.needed < copied.needed
