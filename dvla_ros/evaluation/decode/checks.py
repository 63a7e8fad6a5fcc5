"""Figures that hold on any machine: what canvas-only steps and sliced heads save, what the loop itself costs."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from dvla_ros.denoising.canvas import Canvas, Segment
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.registry import make_decoder
from dvla_ros.evaluation.decode.published_way import WholeHead
from dvla_ros.evaluation.decode.stand_in import Demand, StandIn, StandInSizes
from dvla_ros.evaluation.decode.stopwatch import seconds_of
from dvla_ros.evaluation.statistics import percentile
from dvla_ros.models.emu3 import VOCABULARY
from dvla_ros.models.head import SlicedHead, TokenRows

PREFIX = 512
FAST_IDS = 1024
_WIDTH = 384
_DECODERS: tuple[tuple[str, dict[str, object], tuple[int, int, int]], ...] = (
    ("masked", {"num_steps": 12}, (8, 7, 256)),
    ("hierarchical", {}, (5, 7, 32)),
    ("joint", {"num_steps": 24}, (1, 69, 482)),
    ("flow", {}, (1, 69, 482)),
)
"""Name, settings, and rows, columns and ids of the canvas."""


@dataclass(frozen=True)
class Check:
    """A figure that must hold.

    Attributes:
        name: What was measured.
        value: The figure.
        bound: What it is held to.
        at_least: Whether the bound is from below.
        unit: Of both; "" for a ratio.
    """

    name: str
    value: float
    bound: float
    at_least: bool
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether it does."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def checks(device: torch.device, dtype: torch.dtype, repeats: int = 15) -> list[Check]:
    """Measure all of them."""
    found = [prefix_check(device, dtype, repeats), head_check(device, dtype, repeats)]
    return [*found, *(loop_check(device, *each, repeats=repeats) for each in _DECODERS)]


def prefix_check(device: torch.device, dtype: torch.dtype, repeats: int) -> Check:
    """A canvas-only step behind a settled prefix against a pass over everything."""
    network, demand = StandIn(StandInSizes.for_device(device), device, dtype), Demand(prefix=PREFIX)
    own, whole = (_median(network.step(demand, published=way), device, repeats) for way in (False, True))
    return Check(f"canvas-only step, {PREFIX} tokens before it", whole / own, 4.0, at_least=True)


@torch.no_grad()
def head_check(device: torch.device, dtype: torch.dtype, repeats: int, vocabulary: int = VOCABULARY) -> Check:
    """FAST's rows of Emu3's head against all of them."""
    weight = nn.Parameter(torch.randn(vocabulary, _WIDTH, device=device).to(dtype), requires_grad=False)
    head = SlicedHead(weight)
    hidden = torch.randn(1, 69, _WIDTH, device=device).to(dtype)
    rows = TokenRows.of(range(vocabulary - FAST_IDS, vocabulary))
    own, whole = (_median(partial(each, hidden, rows), device, repeats) for each in (head, WholeHead(head)))
    return Check(f"sliced head, {vocabulary} ids", whole / own, 1.5, at_least=True)


def loop_check(
    device: torch.device, name: str, settings: dict[str, object], shape: tuple[int, int, int], *, repeats: int
) -> Check:
    """What a decoder's loop costs around a network that answers at once."""
    canvas = Canvas((Segment("action", *shape),))
    answer = torch.randn(1, canvas.length, canvas.vocabulary, device=device)
    decoder, steps = make_decoder({"decoder": name, **settings}), [1]

    def constant(tokens: Tensor) -> Tensor:
        return answer

    @torch.no_grad()
    def run() -> None:
        steps[0] = denoise(constant, canvas, decoder, seeds=[0], device=device).nfe

    taken = _median(run, device, repeats)
    return Check(f"loop around the network, {name}, per step", 1e3 * taken / steps[0], 0.3, at_least=False, unit="ms")


def _median(work: object, device: torch.device, repeats: int) -> float:
    return percentile(seconds_of(work, device, repeats=repeats, warm_up=3), 50.0)  # type: ignore[arg-type]
