"""How the cost of a chunk grows with each size, beside what the floor says it should."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from dvla_ros.engine.cache_plan import EXACT
from dvla_ros.evaluation.decode.measured_rates import BestRates
from dvla_ros.evaluation.decode.stand_in import PATCHES, Demand, StandIn, StandInSizes
from dvla_ros.evaluation.decode.step_work import chunk_work, published_step_work
from dvla_ros.evaluation.decode.stopwatch import seconds_of
from dvla_ros.evaluation.decode.trunk_work import pass_work, prefill_work, trunk_bytes
from dvla_ros.evaluation.decode.work import Rates, Work
from dvla_ros.evaluation.statistics import percentile

CURVES: Mapping[str, tuple[int, ...]] = {
    "prefix": (128, 256, 512, 1024, 1536),
    "canvas": (1, 2, 4, 8, 16, 32),
    "steps": (1, 2, 4, 8, 16),
    "cameras": (0, 1, 2, 3, 4),
    "batch": (1, 2, 4, 8),
}
"""Values of each size; the others stay as in `Demand`. Of the canvas: actions of seven tokens."""
_WORDS = 64
"""Positions of the prefix that are no patches of a camera, where their number varies."""


@dataclass(frozen=True)
class Point:
    """One measurement beside its floors.

    Attributes:
        curve: Which size varies.
        value: Its value; of the canvas in tokens.
        chunk_ms: Exact, with what is settled computed once.
        floor_ms: Its floor.
        published_ms: The published way.
        published_floor_ms: Its floor.
    """

    curve: str
    value: int
    chunk_ms: float
    floor_ms: float
    published_ms: float
    published_floor_ms: float


def growth(device: torch.device, dtype: torch.dtype, best: BestRates, repeats: int = 3) -> list[Point]:
    """Measure every point of every curve.

    Args:
        device: Where.
        dtype: Of the weights.
        best: Rates of the device, measured again behind every curve.
        repeats: Of each measurement, of which the median counts; the published way is asked once.
    """
    sizes = StandInSizes.for_device(device)
    weights = trunk_bytes(sizes.trunk, dtype.itemsize)
    rates, measured = best.measure(weights), []
    network = StandIn(sizes, device, dtype)
    for curve, values in CURVES.items():
        measured += [measure_point(network, curve, value, repeats) for value in values]
        rates = best.measure(weights)
    return [point_of(network, rates, *each) for each in measured]


def measure_point(network: StandIn, curve: str, value: int, repeats: int) -> tuple[str, int, float, float]:
    """Curve, value, and seconds of a chunk with an exact prefix and in the published way."""
    demand = demand_of(curve, value)
    exact_s, published_s = (
        percentile(seconds_of(lambda: network.chunk(demand, published=way), network.device, repeats=times), 50.0)  # noqa: B023
        for way, times in ((False, repeats), (True, 1))
    )
    return curve, value, exact_s, published_s


def point_of(network: StandIn, rates: Rates, curve: str, value: int, exact_s: float, published_s: float) -> Point:
    """What was measured, beside its floors."""
    demand = demand_of(curve, value)
    floors = [rates.total_seconds(works) for works in (exact_work(network, demand), published_work(network, demand))]
    shown = demand.canvas.length if curve == "canvas" else value
    return Point(curve, shown, *(1e3 * s for s in (exact_s, floors[0], published_s, floors[1])))


def demand_of(curve: str, value: int) -> Demand:
    """The demand with one size changed; a camera also brings its patches into the prefix."""
    if curve == "cameras":
        return replace(Demand(), cameras=value, prefix=_WORDS + PATCHES * value)
    return replace(Demand(), **{"rows" if curve == "canvas" else curve: value})


def exact_work(network: StandIn, demand: Demand) -> Sequence[Work]:
    """Passes of a chunk: towers, prefix, steps."""
    shape = network.shape(demand)
    steps = chunk_work(shape, EXACT, demand.steps, demand.batch)
    return (*_looking(network, demand), prefill_work(shape.trunk, shape.prefix, shape.number_bytes), *steps)


def published_work(network: StandIn, demand: Demand) -> Sequence[Work]:
    """Passes of the published way: towers, steps."""
    step = published_step_work(network.shape(demand), demand.batch)
    return (*_looking(network, demand), *(step,) * demand.steps)


def _looking(network: StandIn, demand: Demand) -> tuple[Work, ...]:
    if not demand.cameras:
        return ()
    tower = network.sizes.tower
    return (pass_work(tower, PATCHES, PATCHES, network.shape(demand).number_bytes, batch=demand.cameras),)
