"""A small policy on a CPU: where the time of a chunk goes, with how many threads, and what waiting costs.

Example:
    .venv/bin/python benchmarks/cpu_path.py --compile --json benchmarks/results/cpu_path.json --write docs/benchmarks.md

The numbers of threads take turns, so that all meet the same machine. `loop` is what denoising takes outside the
network, of one denoising step, the least of all chunks. `CPU ÷ wall` is the processor time of all threads by the time
that passed: 1 is one busy processor. It is measured while chunks are inferred, in the pause after one (threads that
spin would show there), and of `policy_node` in a process of its own, while it has nothing to do and while it follows an
instruction without cameras.
"""

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._inductor.config
import tyro
from publish import show, wide_console, write_json, write_page

from dvla_ros.engine.cache_plan import EXACT
from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.evaluation.decode.chunk_floor import TokenSequence
from dvla_ros.evaluation.decode.counted import parameter_bytes
from dvla_ros.evaluation.decode.made_up import made_up_observation
from dvla_ros.evaluation.decode.measured_rates import BestRates
from dvla_ros.evaluation.markdown_table import FigureTable
from dvla_ros.nodes.background_nodes import BackgroundNodes
from dvla_ros.nodes.node_table import shipped_checkpoint
from dvla_ros.nodes.policy_parameters import PolicyParameters
from dvla_ros.policies.load import load_policy
from dvla_ros.provenance import machine_line, machine_name

PART = "cpu path"
PARTS = ("preprocess", "prefill", "denoise", "decode")
HEADINGS = (
    "threads", "chunk p50 ms", "p95 ms", *(f"{part} ms" for part in PARTS), "loop ms/step", "÷ one thread", "÷ floor",
    "CPU ÷ wall",
)  # fmt: skip
CHOSEN = PolicyParameters().cpu_threads
START_S = 120.0
PAUSE_S = 0.5
console = wide_console()


@dataclass(frozen=True)
class CpuPathConfig:
    """Time a policy on the CPU.

    Attributes:
        system: Shipped policy of tokens.
        chunks: Of each number of threads.
        threads: Numbers of threads; by default 1 to the processors there are.
        idle_s: How long a waiting node is watched; 0: not at all, which needs no ROS.
        compile: Also compare a step with what torch.compile makes of its trunk, with one thread; needs a C++ compiler.
        json: File for the figures.
        write: Page whose table is to be renewed.
    """

    system: str = "dd_vla"
    chunks: int = 40
    threads: tuple[int, ...] = ()
    idle_s: float = 5.0
    compile: bool = False
    json: Path | None = None
    write: Path | None = None


@dataclass
class Threads:
    """What was measured with a number of threads.

    Attributes:
        count: Threads.
        chunks_s: Of each chunk, as a caller sees it.
        parts_s: Of each chunk, by part.
        network_s: Of each chunk, in the network's denoising steps.
        steps: Denoising steps of a chunk.
        cpu_s: Processor time of each chunk.
        pause_cpu_s: Processor time in the pause after the last one.
        floor_s: Least time of a chunk at the rates of so many threads.
    """

    count: int
    chunks_s: list[float] = field(default_factory=list)
    parts_s: list[tuple[float, ...]] = field(default_factory=list)
    network_s: list[float] = field(default_factory=list)
    steps: int = 0
    cpu_s: list[float] = field(default_factory=list)
    pause_cpu_s: float = 0.0
    floor_s: float = 0.0

    def figures(self) -> dict[str, float]:
        """In words and numbers."""
        parts = np.median(np.array(self.parts_s), axis=0)
        outside = np.array(self.parts_s)[:, PARTS.index("denoise")] - np.array(self.network_s)
        return {
            "threads": self.count,
            "chunk_ms_p50": 1e3 * float(np.median(self.chunks_s)),
            "chunk_ms_p95": 1e3 * float(np.percentile(self.chunks_s, 95)),
            **{f"{name}_ms": 1e3 * float(part) for name, part in zip(PARTS, parts, strict=True)},
            "loop_ms_per_step": 1e3 * float(outside.min()) / max(1, self.steps),
            "floor_ratio": float(np.median(self.chunks_s)) / self.floor_s,
            "cpu_per_wall": sum(self.cpu_s) / sum(self.chunks_s),
            "pause_cpu_per_wall": self.pause_cpu_s / PAUSE_S,
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    config = tyro.cli(CpuPathConfig, args=arguments)
    try:
        measured = [threads.figures() for threads in measure(config)]
        waiting = {} if config.idle_s <= 0 else watch_node(config)
        compiled = compare_compiled(config) if config.compile else None
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    publish(measured, waiting, compiled, config)
    return 0


def measure(config: CpuPathConfig) -> list[Threads]:
    """Chunks with every number of threads, in turn."""
    policy: Any = load_policy(shipped_checkpoint(config.system))
    observation = made_up_observation(policy.spec)
    counts = config.threads or tuple(range(1, (os.cpu_count() or 1) + 1))
    found = [Threads(count) for count in counts]
    stopwatch = NetworkStopwatch(policy.network)
    for threads in found:
        torch.set_num_threads(threads.count)
        nfe = policy.predict(observation, seed=0).nfe
        rates = BestRates(policy.device, torch.float32).measure(parameter_bytes(policy.network.model))
        threads.floor_s = rates.total_seconds(TokenSequence.of(policy, observation).chunk(EXACT, nfe).passes)
    for seed in range(config.chunks):
        for threads in found:
            torch.set_num_threads(threads.count)
            policy.predict(observation, seed=seed)  # what changes with the number of threads is set up here
            add_chunk(threads, policy, made_up_observation(policy.spec, seed), seed, stopwatch)
    for threads in found:
        torch.set_num_threads(threads.count)
        policy.predict(observation, seed=0)
        before = time.process_time()
        time.sleep(PAUSE_S)
        threads.pause_cpu_s = time.process_time() - before
    return found


class NetworkStopwatch:
    """Adds up what a network's denoising steps take."""

    def __init__(self, network: Any) -> None:
        self.seconds, self._inner = 0.0, network.logits
        network.logits = self._logits

    def _logits(self, context: Any, tokens: torch.Tensor) -> Any:
        began = time.perf_counter()
        answer = self._inner(context, tokens)
        self.seconds += time.perf_counter() - began
        return answer


def add_chunk(threads: Threads, policy: Any, observation: Any, seed: int, stopwatch: NetworkStopwatch) -> None:
    """Ask for one."""
    stopwatch.seconds, cpu, began = 0.0, time.process_time(), time.perf_counter()
    prediction = policy.predict(observation, seed=seed)
    threads.chunks_s.append(time.perf_counter() - began)
    threads.cpu_s.append(time.process_time() - cpu)
    timings = prediction.timings
    threads.parts_s.append((timings.preprocess_s, timings.prefill_s, timings.denoise_s, timings.decode_s))
    threads.network_s.append(stopwatch.seconds)
    threads.steps = prediction.nfe


def watch_node(config: CpuPathConfig) -> dict[str, float]:
    """CPU ÷ wall of `policy_node` while it waits for an instruction, and while it waits for cameras."""
    waiting = {"idle": "", "without cameras": "pick up the red cube"}
    with tempfile.TemporaryDirectory() as folder:
        return {name: watched(name, instruction, config, Path(folder)) for name, instruction in waiting.items()}


def watched(name: str, instruction: str, config: CpuPathConfig, logs: Path) -> float:
    """Processor seconds per second of one node."""
    parameters = {"checkpoint": str(shipped_checkpoint(config.system)), "instruction": instruction}
    words = [word for key, value in parameters.items() if value for word in ("-p", f"{key}:={value}")]
    command = [sys.executable, "-m", "dvla_ros.nodes.policy_node", "--ros-args", *words]
    log = logs / f"{name.replace(' ', '_')}.log"
    with BackgroundNodes({name: command}, logs) as nodes:
        wait_until_ready(nodes, log)
        process = nodes.process_id(name)
        assert process is not None, f"{name} is what was started"
        before, began = processor_s(process), time.perf_counter()
        time.sleep(config.idle_s)
        return (processor_s(process) - before) / (time.perf_counter() - began)


def wait_until_ready(nodes: BackgroundNodes, log: Path) -> None:
    """Return once the node says that it is ready.

    Raises:
        ConfigurationError: It does not within two minutes.
        NodeError: It ended.
    """
    deadline = time.monotonic() + START_S
    while " ready: warm-up" not in log.read_text(errors="replace"):
        nodes.check()
        if time.monotonic() > deadline:
            raise ConfigurationError(f"policy_node was not ready within {START_S:.0f} s.")
        time.sleep(0.1)
    time.sleep(1.0)  # what comes with the start, such as discovery


def processor_s(process: int) -> float:
    """Processor time of all threads of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Compiled:
    """What torch.compile gives.

    Attributes:
        eager_ms: Median of a denoising step as it is.
        compiled_ms: The same with a compiled trunk.
        start_s: The first chunk with it.
    """

    eager_ms: float
    compiled_ms: float
    start_s: float


def compare_compiled(config: CpuPathConfig) -> Compiled:
    """Steps of a policy as it is and with its trunk compiled, in turn."""
    torch.set_num_threads(1)
    torch._inductor.config.force_disable_caches = True  # what the first start on a machine takes
    policy: Any = load_policy(shipped_checkpoint(config.system))
    observation, trunk = made_up_observation(policy.spec), policy.network.model.trunk
    ways = {"eager": trunk.decode, "compiled": torch.compile(trunk.decode, dynamic=False)}
    starts: dict[str, float] = {}
    steps: dict[str, list[float]] = {name: [] for name in ways}
    for seed in range(-1, config.chunks):
        for name, decode in ways.items():
            trunk.decode = decode
            began = time.perf_counter()
            answer = policy.predict(observation, seed=max(seed, 0))
            if seed < 0:
                starts[name] = time.perf_counter() - began
            else:
                steps[name].append(1e3 * answer.timings.denoise_s / answer.nfe)
    eager_ms, compiled_ms = (float(np.median(steps[name])) for name in ways)
    return Compiled(eager_ms, compiled_ms, starts["compiled"])


def publish(
    measured: Sequence[dict[str, float]], waiting: dict[str, float], compiled: Compiled | None, config: CpuPathConfig
) -> None:
    """Print the table, and write it where asked."""
    one = measured[0]["chunk_ms_p50"]
    table = FigureTable(HEADINGS, tuple(cells(figures, one) for figures in measured))
    show(console, table, f"{config.system}, {machine_line()}", leave_out="")
    spinning = ", ".join(f"{figures['pause_cpu_per_wall']:.3f} with {figures['threads']:.0f}" for figures in measured)
    said = f"CPU ÷ wall in the pause after a chunk: {spinning} threads."
    if waiting:
        said += f" Of policy_node: {', '.join(f'{value:.3f} {name}' for name, value in waiting.items())}."
    if compiled is not None:
        share = compiled.compiled_ms / compiled.eager_ms
        said += f" torch.compile: a step takes {share:.2f} of its time, the first chunk {compiled.start_s:.0f} s."
    console.print(said)
    if config.json is not None:
        figures = {"machine": machine_line(), "system": config.system, "threads": measured, "waiting": waiting}
        figures |= {} if compiled is None else {"compiled": asdict(compiled)}
        write_json(console, config.json, figures)
    if config.write is not None:
        write_page(console, config.write, PART, table, f"{config.system}, {machine_name()}. {said}")


def cells(figures: dict[str, float], one: float) -> tuple[str, ...]:
    """One row as text."""
    count = int(figures["threads"])
    return (
        f"{count} (chosen)" if count == CHOSEN else str(count),
        f"{figures['chunk_ms_p50']:.1f}",
        f"{figures['chunk_ms_p95']:.1f}",
        *(f"{figures[f'{part}_ms']:.1f}" for part in PARTS),
        f"{figures['loop_ms_per_step']:.2f}",
        f"{figures['chunk_ms_p50'] / one:.2f}",
        f"{figures['floor_ratio']:.1f}",
        f"{figures['cpu_per_wall']:.2f}",
    )


if __name__ == "__main__":
    sys.exit(main())
