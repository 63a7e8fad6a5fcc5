"""OpenVLA's bins, to the token."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.actions.bins import UniformBins
from dvla_ros.errors import ActionError, ConfigurationError

BINS = UniformBins()


@pytest.mark.parametrize(
    ("value", "token", "decoded"), [(-1.0, 31999, -0.99608), (0.0, 31872, 0.0), (1.0, 31744, 0.99608)]
)
def test_golden_tokens_of_openvla(value, token, decoded):
    local = BINS.encode(value)
    assert BINS.to_vocabulary(local) == token
    assert BINS.from_vocabulary(token) == local
    assert BINS.decode(local) == pytest.approx(decoded, abs=5e-6)


def test_the_centres_are_those_between_256_edges():
    edges = np.linspace(-1, 1, 256)
    assert np.allclose(BINS.decode(np.arange(255)), (edges[:-1] + edges[1:]) / 2)
    assert BINS.decode(255) == BINS.decode(254)


@given(st.floats(-1, 1), st.integers(2, 512))
def test_the_round_trip_is_off_by_at_most_half_a_bin(value, num_bins):
    bins = UniformBins(num_bins)
    assert abs(bins.decode(bins.encode(value)) - value) <= 1 / (num_bins - 1) + 1e-12


@given(st.integers(0, 254))
def test_a_decoded_id_encodes_to_itself(token):
    assert BINS.encode(BINS.decode(token)) == token


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_ids_grow_with_the_value(one, other):
    low, high = sorted((one, other))
    assert 0 <= BINS.encode(low) <= BINS.encode(high) <= 255


def test_text_and_special_tokens_decode_to_the_nearest_extreme():
    assert BINS.from_vocabulary([5, 31743, 32000, 32001]).tolist() == [255, 255, 0, 0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(value):
    with pytest.raises(ActionError, match="NaN or infinite"):
        BINS.encode([0.0, value])


@pytest.mark.parametrize("token", [-1, 256])
def test_ids_outside_the_bins_are_refused(token):
    with pytest.raises(ActionError, match=r"0\.\.255"):
        BINS.decode([0, token])


def test_a_single_bin_is_refused():
    with pytest.raises(ConfigurationError, match="got 1"):
        UniformBins(1)
