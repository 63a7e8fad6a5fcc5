"""What cannot be trained is refused with the reason, before any data is read."""

from pathlib import Path

import pytest

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.perception import PerceptionConfig
from dvla_ros.policies.systems import SYSTEMS
from dvla_ros.training.config import TrainConfig

FOLDER = Path("somewhere")
AHEAD = PerceptionConfig(ways_after_frozen=True)


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_published_system_can_be_trained(system):
    assert TrainConfig((FOLDER,), FOLDER, system=system).system == system


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 0}, "steps must be more than 0, got 0"),
        ({"batch_size": 0}, "batch_size must be more than 0, got 0"),
        ({"threads": 0}, "threads must be more than 0, got 0"),
        ({"save_every": 0}, "save_every must be more than 0, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be more than 0, got 0.0"),
        ({"ema": 1.0}, "ema must be in 0..1, below 1"),
        ({"drop_instruction": 1.1}, "drop_instruction in 0..1"),
        ({"weight_decay": -0.1}, "weight_decay must be 0 or more, got -0.1"),
        ({"accumulate": 0}, "accumulate must be more than 0, got 0"),
        ({"schedule": "linear"}, "schedule must be one of .*linear"),
        ({"betas": (0.9, 1.0)}, "betas must be in 0..1, below 1"),
        ({"execute_steps": -1}, "execute_steps must be 0 or more, got -1"),
        (
            {"system": "ud_vla", "perception": AHEAD},
            "as in dd_vla or llada_vla; ud_vla",
        ),
        ({"system": "rt_1"}, "Unknown system 'rt_1'; choose one of dd_vla"),
        ({"init": FOLDER, "backbone": FOLDER}, "either init .* or backbone"),
        ({"init": FOLDER, "vq": FOLDER, "system": "ud_vla"}, "Leave out vq"),
        ({"freeze_perception": True}, "give init or backbone"),
    ],
)
def test_settings_that_cannot_be_are_refused(change, words):
    with pytest.raises(ConfigurationError, match=words):
        TrainConfig((FOLDER,), FOLDER, **change)
