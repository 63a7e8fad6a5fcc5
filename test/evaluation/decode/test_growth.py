"""The stand-in network and the curves of cost against size."""

from dataclasses import replace

import pytest
import torch

from dvla_ros.evaluation.decode.growth import CURVES, demand_of, exact_work, measure_point, point_of, published_work
from dvla_ros.evaluation.decode.stand_in import Demand, StandIn, StandInSizes
from dvla_ros.evaluation.decode.work import Rates
from dvla_ros.models.trunk import TrunkConfig

CPU = torch.device("cpu")
SIZES = StandInSizes(
    TrunkConfig(width=16, layers=2, heads=2, kv_heads=2, intermediate=24),
    TrunkConfig(width=8, layers=1, heads=2, kv_heads=2, intermediate=8, rope_theta=None),
    vocabulary=300,
)
RATES = Rates(1e9, 1e9)


@pytest.fixture(scope="module")
def network():
    return StandIn(SIZES, CPU, torch.float32)


@pytest.mark.parametrize("curve", CURVES)
def test_a_curve_changes_one_size(curve):
    changed = demand_of(curve, 3)
    names = [name for name in vars(Demand()) if getattr(changed, name) != getattr(Demand(), name)]
    assert names == {"canvas": ["rows"], "cameras": ["prefix", "cameras"]}.get(curve, [curve])


@pytest.mark.parametrize("published", [False, True])
def test_a_chunk_is_decoded_to_the_end(network, published):
    tokens = network.chunk(Demand(prefix=5, rows=2, steps=3, cameras=1, batch=2), published=published)
    assert tokens.shape == (2, 14) and int(tokens.max()) < 256


def test_a_point_is_measured_beside_its_floors(network):
    point = point_of(network, RATES, *measure_point(network, "canvas", 2, repeats=1))
    assert point.value == 14
    assert point.published_floor_ms > point.floor_ms > 0 and min(point.chunk_ms, point.published_ms) > 0


def test_the_longer_the_prefix_the_more_a_settled_one_saves(network):
    """By the floor, a step of the published way over one of the canvas alone."""
    saved = []
    for prefix in (256, 1024):
        demand = replace(Demand(), prefix=prefix, cameras=0)
        saved.append(published_work(network, demand)[-1].flop / exact_work(network, demand)[-1].flop)
    assert saved[1] > 2.5 * saved[0] > 2.5
