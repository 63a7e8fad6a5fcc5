"""A checkpoint whose actions are in LIBERO's units speaks of metres and radians, and decodes the same tokens."""

import numpy as np
import pytest

from dvla_ros.actions.normalization import Normalizer
from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.units import in_metres

MASK = np.array([True] * 6 + [False])
LIBERO = Normalizer(np.array([-0.9] * 3 + [-0.2] * 3 + [0.0]), np.array([0.8] * 3 + [0.1] * 3 + [1.0]), MASK)
FACTORS = np.array([0.05] * 3 + [0.5] * 3 + [1.0])


def test_what_was_normalised_comes_out_in_metres_and_radians():
    normalised = np.linspace(-1, 1, 21).reshape(3, 7)
    found = in_metres(LIBERO, "libero").unnormalize(normalised)
    np.testing.assert_allclose(found, LIBERO.unnormalize(normalised) * FACTORS, atol=1e-8)


def test_metres_are_normalised_to_what_the_network_was_trained_on():
    rows = np.array([[0.3, -0.3, 0.1, 0.05, -0.1, 0.0, 1.0]])
    np.testing.assert_allclose(in_metres(LIBERO, "libero").normalize(rows * FACTORS), LIBERO.normalize(rows), atol=1e-5)


def test_metric_statistics_are_left_as_they_are():
    assert in_metres(LIBERO, "metric") is LIBERO


@pytest.mark.parametrize(
    "normalizer",
    [
        Normalizer(np.zeros(6), np.ones(6), MASK[:6]),
        Normalizer(np.zeros(7), np.ones(7), np.array([False] + [True] * 5 + [False])),
    ],
    ids=["six columns", "a column that passes through"],
)
def test_statistics_that_cannot_be_converted_are_refused(normalizer):
    with pytest.raises(CheckpointError, match="units: libero needs statistics of 7 numbers"):
        in_metres(normalizer, "libero")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"units": "feet"}, "units must be one of metric, libero, got 'feet'"),
        ({"units": "libero", "control_mode": "EE_POSE"}, "units: libero is for increments"),
        ({"state": "aloha"}, "state must be one of bridge, libero, none, got 'aloha'"),
    ],
)
def test_a_deployment_refuses_what_it_does_not_know(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        Deployment(**changes)


def test_only_the_state_of_libero_has_eight_numbers():
    assert {state: Deployment(state=state).spec("dd_vla", 8).state_dim for state in ("bridge", "libero", "none")} == {
        "bridge": 7,
        "libero": 8,
        "none": 7,
    }
