"""Settings of an objective come as words, and each says what it must be."""

import pytest

from dvla_ros.errors import ConfigurationError
from dvla_ros.training.objectives.llada_vla import LladaVlaObjectiveConfig
from dvla_ros.training.objectives.settings import objective_settings
from dvla_ros.training.objectives.ud_vla import UdVlaObjectiveConfig


def test_words_replace_the_defaults():
    words = ["vision_weight=1", "mask_ratios=[0.25, 0.5]", "fixed_borders=false", "stage=world_model"]
    expected = UdVlaObjectiveConfig("world_model", 1, mask_ratios=(0.25, 0.5), fixed_borders=False)
    assert objective_settings(UdVlaObjectiveConfig, words) == expected
    assert objective_settings(UdVlaObjectiveConfig, []) == UdVlaObjectiveConfig()


@pytest.mark.parametrize(
    ("kind", "word", "message"),
    [
        (LladaVlaObjectiveConfig, "masks=many", "masks must be a JSON int, such as 2, got 'many'"),
        (LladaVlaObjectiveConfig, "masks=1.5", "masks must be a JSON int, such as 2, got 1.5"),
        (LladaVlaObjectiveConfig, "grounding=true", "grounding must be a JSON float"),
        (UdVlaObjectiveConfig, "fixed_borders=False", "fixed_borders must be a JSON bool, such as true, got 'False'"),
        (UdVlaObjectiveConfig, "mask_ratios=0.5", "mask_ratios must be a JSON list"),
        (UdVlaObjectiveConfig, "ratios=0.5", r"unknown keys \['ratios'\]"),
        (UdVlaObjectiveConfig, "clean_images=2", "clean_images in 0..1"),
    ],
)
def test_what_a_setting_cannot_be_is_refused(kind, word, message):
    with pytest.raises(ConfigurationError, match=message):
        objective_settings(kind, [word])
