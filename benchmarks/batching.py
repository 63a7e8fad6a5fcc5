"""One engine that serves N robots: how long a robot waits for its chunk, and how many chunks leave in a second.

Example:
    .venv/bin/python benchmarks/batching.py --json benchmarks/results/batching.json --write docs/benchmarks.md

Each robot asks for a chunk, and for the next one as soon as it has it: through the same loop that answers the service
`~/get_action_chunk` of `policy_node`, without ROS around it. `together` answers what waits as one batch of up to N,
`together, 5 ms` with a `batch_wait_s` of 0.005: who has just been answered asks again at once, but not in the same
moment as the others. `one by one` is the same with `max_batch` 1. The ways take turns in every round, so that all meet
the same machine. The floor is what memory and multiplications of a batch take at the rates measured in the same run.
"""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import torch
import tyro
from publish import show, wide_console, write_json, write_page

from dvla_ros.control.assembler import AssemblerConfig, ObservationAssembler
from dvla_ros.control.replanning import ReplanningConfig
from dvla_ros.engine.cache_plan import EXACT
from dvla_ros.errors import DvlaError
from dvla_ros.evaluation.decode.chunk_floor import TokenSequence
from dvla_ros.evaluation.decode.counted import parameter_bytes
from dvla_ros.evaluation.decode.made_up import made_up_observation
from dvla_ros.evaluation.decode.measured_rates import BestRates
from dvla_ros.evaluation.decode.work import Rates, Work
from dvla_ros.evaluation.markdown_table import FigureTable
from dvla_ros.nodes.inference_loop import InferenceLoop, LoopSettings
from dvla_ros.nodes.node_table import shipped_checkpoint
from dvla_ros.nodes.run import Inference
from dvla_ros.nodes.ticket import Ticket
from dvla_ros.policies.base import Policy
from dvla_ros.policies.batching import Answer, Question
from dvla_ros.policies.load import load_policy
from dvla_ros.policies.request import ChunkRequest
from dvla_ros.policies.token_policy import TokenPolicy
from dvla_ros.provenance import machine_line, machine_name

PART = "batching"
ONE_BY_ONE, TOGETHER, AFTER_A_WAIT = "one by one", "together", "together, 5 ms"
WAIT_S = 0.005
HEADINGS = ("robots", "answered", "latency p50 ms", "p95 ms", "chunks/s", "÷ one robot", "÷ one by one", "÷ floor")
console = wide_console()


@dataclass(frozen=True)
class BatchingConfig:
    """Serve more and more robots.

    Attributes:
        system: Shipped policy of tokens.
        checkpoint: Another policy of tokens.
        robots: How many ask at the same time.
        seconds: Of each measurement.
        rounds: Measurements of each number and way; all of them count.
        threads: CPU threads.
        device: cpu or cuda.
        json: File for the figures.
        write: Page whose table is to be renewed.
    """

    system: str = "dd_vla"
    checkpoint: Path | None = None
    robots: tuple[int, ...] = (1, 2, 4, 8)
    seconds: float = 2.0
    rounds: int = 4
    threads: int = 1
    device: str = "cpu"
    json: Path | None = None
    write: Path | None = None


@dataclass
class Served:
    """What was measured of one number of robots and one way.

    Attributes:
        robots: N.
        way: `one by one`, `together` or `together, 5 ms`.
        latencies_s: Of every chunk, from the question to the answer.
        seconds: That all measurements took.
        floor_s: Of one batch.
    """

    robots: int
    way: str
    latencies_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    floor_s: float = 0.0

    @property
    def chunks_per_s(self) -> float:
        """Throughput."""
        return len(self.latencies_s) / self.seconds

    def latency_ms(self, percentile: float) -> float:
        """A percentile of the latencies."""
        return 1e3 * float(np.percentile(self.latencies_s, percentile))

    @property
    def floor_ratio(self) -> float:
        """Seconds that N chunks took, by the least that their batches can take."""
        return self.robots / self.chunks_per_s / self.floor_s


class Nowhere:
    """The loop follows no run: nothing is published."""

    def publish(self, inference: Inference) -> None:
        """Never called."""

    def report(self, problem: str) -> None:
        """Never called."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    config = tyro.cli(BatchingConfig, args=arguments)
    torch.set_num_threads(config.threads)
    try:
        policy = load_policy(config.checkpoint or shipped_checkpoint(config.system), config.device)
        if not isinstance(policy, TokenPolicy):
            raise DvlaError(f"{config.system} has no tokens and is not batched; choose another system.")
        served = measure(policy, config)
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    publish(served, config)
    return 0


def measure(policy: TokenPolicy, config: BatchingConfig) -> list[Served]:
    """All numbers of robots in both ways, round after round."""
    floors = batch_floors(policy, config)
    served = [
        Served(robots, way, floor_s=floors[1] * robots if way == ONE_BY_ONE else floors[robots])
        for robots, way in product(config.robots, (ONE_BY_ONE, TOGETHER, AFTER_A_WAIT))
        if robots > 1 or way == ONE_BY_ONE
    ]
    for entry in served:
        serve(policy, entry, seconds=0.2)  # warm-up
        entry.latencies_s.clear()
        entry.seconds = 0.0
    for _ in range(config.rounds):
        for entry in served:
            serve(policy, entry, config.seconds)
    return served


def batch_floors(policy: TokenPolicy, config: BatchingConfig) -> dict[int, float]:
    """Seconds that a batch of each size takes at least: weights are read once, everything else N times."""
    observation = made_up_observation(policy.spec)
    nfe = policy.predict(observation, seed=0).nfe
    model = policy.network.model  # type: ignore[attr-defined]
    weights = next(model.parameters())
    rates = BestRates(policy.device, weights.dtype).measure(parameter_bytes(model))
    passes = TokenSequence.of(policy, observation).chunk(EXACT, nfe).passes
    return {n: floor_s(rates, passes, n) for n in {1, *config.robots}}


def floor_s(rates: Rates, passes: Sequence[Work], robots: int) -> float:
    """Of these passes for so many robots; keys and values, the small part of the bytes, are counted once."""
    return rates.total_seconds(Work(each.nbytes, each.flop * robots) for each in passes)


def serve(policy: Policy, entry: Served, seconds: float) -> None:
    """Let the robots ask for a while."""
    with serving(policy, 1 if entry.way == ONE_BY_ONE else entry.robots, WAIT_S * (entry.way == AFTER_A_WAIT)) as loop:
        began = time.perf_counter()
        robots = [Robot(loop, index, began + seconds) for index in range(entry.robots)]
        for robot in robots:
            robot.thread.start()
        for robot in robots:
            robot.thread.join()
        entry.seconds += time.perf_counter() - began
    for robot in robots:
        entry.latencies_s += robot.latencies_s


class Robot:
    """Asks, waits, asks again, in a thread of its own."""

    def __init__(self, loop: InferenceLoop, seed: int, until: float) -> None:
        self._loop, self._until = loop, until
        spec = loop.policy.spec
        request = ChunkRequest.checked(spec, None, seed, None, None, None)
        self._question = Question(made_up_observation(spec, seed), request)
        self.latencies_s: list[float] = []
        self.thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while (asked := time.perf_counter()) < self._until:
            answer: Ticket[Answer] = Ticket()
            self._loop.ask(lambda spec: self._question, answer.fill)
            answer.wait(60.0)
            if isinstance(answer.value, DvlaError):
                raise answer.value
            self.latencies_s.append(time.perf_counter() - asked)


@contextmanager
def serving(policy: Policy, max_batch: int, wait_s: float) -> Iterator[InferenceLoop]:
    """The inference loop of `policy_node`, which follows nothing."""
    assembler = ObservationAssembler(AssemblerConfig(), lambda payload: payload, lambda joints: np.zeros(7))
    settings = LoopSettings(ReplanningConfig(mode="sync"), max_batch=max_batch, batch_wait_s=wait_s)
    loop = InferenceLoop(policy, assembler, settings, time.monotonic, Nowhere(), 1)
    loop.start()
    try:
        yield loop
    finally:
        loop.stop()


def publish(served: Sequence[Served], config: BatchingConfig) -> None:
    """Print the table, and write it where asked."""
    one = next((entry for entry in served if entry.robots == min(config.robots)), served[0])
    apart = {entry.robots: entry.chunks_per_s for entry in served if entry.way == ONE_BY_ONE}
    rows = tuple(cells(entry, one, apart.get(entry.robots, entry.chunks_per_s)) for entry in served)
    table = FigureTable(HEADINGS, rows)
    show(console, table, f"{config.system}, {config.threads} thread(s), {machine_line()}", leave_out="")
    if config.json is not None:
        values = [asdict(e) | {"chunks_per_s": e.chunks_per_s, "p50_ms": e.latency_ms(50)} for e in served]
        for value in values:
            value.pop("latencies_s")
        write_json(console, config.json, {"machine": machine_line(), "system": config.system, "served": values})
    if config.write is not None:
        threads = "one thread" if config.threads == 1 else f"{config.threads} threads"
        write_page(console, config.write, PART, table, f"{config.system}, {threads}, {machine_name()}.")


def cells(entry: Served, one: Served, apart: float) -> tuple[str, ...]:
    """One row as text."""
    return (
        str(entry.robots),
        entry.way if entry.robots > 1 else "alone",
        f"{entry.latency_ms(50):.0f}",
        f"{entry.latency_ms(95):.0f}",
        f"{entry.chunks_per_s:.1f}",
        f"{entry.chunks_per_s / one.chunks_per_s:.2f}",
        f"{entry.chunks_per_s / apart:.2f}",
        f"{entry.floor_ratio:.1f}",
    )


if __name__ == "__main__":
    sys.exit(main())
