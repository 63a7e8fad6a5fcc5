"""Checkpoints in the published layouts, with random weights: how long they take to load, how much memory, one chunk.

Examples:
    .venv/bin/python benchmarks/published.py
    .venv/bin/python benchmarks/published.py --size true --device cuda --json benchmarks/results/published_true.json
    .venv/bin/python benchmarks/published.py --size true --systems dd_vla --no-chunk

Each system is written, loaded and asked in a process of its own, so that the peak of its memory is its own. The peak is
taken over what was resident right before loading, and given as a ratio to the bytes of the weights: what a host must
have to put them on its GPU, too.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from publish import show, wide_console, write_json, write_page

from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.evaluation.markdown_table import FigureTable
from dvla_ros.provenance import machine_line

console = wide_console()
SYSTEMS = ("dd_vla", "ud_vla", "dfm_vla", "llada_vla", "diffusion_vla")
GIGABYTE = 1e9
PART = "published"
KEYS = ("system", "parameters", "weights_gb", "write_s", "load_s", "peak_gb", "peak_ratio", "gpu_gb", "chunk_s", "nfe")


@dataclass(frozen=True)
class PublishedConfig:
    """Write, load and ask checkpoints in the published layouts.

    Attributes:
        systems: Which.
        size: small, or true for the published sizes (15 GB each but for diffusion_vla).
        device: cpu or cuda.
        dtype: Type of the weights once loaded.
        chunk: Whether to infer a chunk, too.
        deadline_s: No denoising step is started after so many seconds; the first always runs, and ends the chunk.
        folder: Where to write; a temporary folder by default. Removed afterwards.
        json: File for the figures.
        write: Page whose table is to be renewed.
    """

    systems: tuple[str, ...] = SYSTEMS
    size: Literal["small", "true"] = "small"
    device: str = "cpu"
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    chunk: bool = True
    deadline_s: float | None = None
    folder: Path | None = None
    json: Path | None = None
    write: Path | None = None

    def __post_init__(self) -> None:
        if unknown := [name for name in self.systems if name not in SYSTEMS]:
            raise ConfigurationError(f"There is no system {unknown[0]!r}; choose of {', '.join(SYSTEMS)}.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; `--only SYSTEM FOLDER` is what a process of its own does."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words[:1] == ["--only"]:
            print(json.dumps(measured(words[1], Path(words[2]), tyro.cli(PublishedConfig, args=words[3:]))))
            return 0
        config = tyro.cli(PublishedConfig, args=words)
        rows = [in_a_process(system, config, words) for system in config.systems]
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        return int(error.returncode)  # it has said why
    line = f"{config.size} size, {config.device}, {config.dtype}. {machine_line()}"
    table = FigureTable(KEYS, tuple(tuple(cell(row[key]) for key in KEYS) for row in rows))
    show(console, table, line, leave_out="")
    if config.json is not None:
        write_json(console, config.json, {"measured": line, "deadline_s": config.deadline_s, "rows": rows})
    if config.write is not None:
        write_page(console, config.write, f"{PART} {config.size}", table, line)
    return 0


def in_a_process(system: str, config: PublishedConfig, words: list[str]) -> dict[str, Any]:
    """The figures of one system."""
    parent = Path(tempfile.mkdtemp(prefix="published_", dir=config.folder))
    try:
        command = [sys.executable, __file__, "--only", system, str(parent / "run" / "checkpoint"), *words]
        ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        figures: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
        return figures
    finally:
        shutil.rmtree(parent)


def measured(system: str, folder: Path, config: PublishedConfig) -> dict[str, Any]:
    """Write, load and ask one system."""
    from dvla_ros.policies.published.deployment import Deployment
    from dvla_ros.policies.published.fresh import WRITERS
    from dvla_ros.policies.published.load import make_policy
    from dvla_ros.policies.published.recognise import read_setup
    from dvla_ros.policies.published.self_tests import blank_observation
    from dvla_ros.weights.tensor_files import TensorFiles

    started = time.perf_counter()
    WRITERS[system](folder, size=config.size, seed=0)
    written = time.perf_counter()
    setup = read_setup(folder, Deployment(system="dfm_vla" if system == "dfm_vla" else ""))
    weights = TensorFiles.open(folder).nbytes
    before = start_peak()
    begun = time.perf_counter()
    network = setup.network(torch.device(config.device), getattr(torch, config.dtype))
    loaded = time.perf_counter()
    peak = memory("VmHWM") - before
    figures = {
        "system": system,
        "parameters": sum(parameter.numel() for parameter in network.model.parameters()),
        "weights_gb": weights / GIGABYTE,
        "write_s": written - started,
        "load_s": loaded - begun,
        "peak_gb": peak / GIGABYTE,
        "peak_ratio": peak / weights,
        "gpu_gb": torch.cuda.max_memory_allocated() / GIGABYTE if config.device != "cpu" else None,
        "chunk_s": None,
        "nfe": None,
    }
    if config.chunk:
        policy = make_policy(setup, network, config.device)
        asked = time.perf_counter()
        prediction = policy.predict(blank_observation(setup), seed=0, deadline_s=config.deadline_s)
        figures |= {"chunk_s": time.perf_counter() - asked, "nfe": prediction.nfe}
    return figures


def start_peak() -> int:
    """Let the peak start anew; bytes resident now."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def memory(name: str) -> int:
    """A line of /proc/self/status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def cell(value: object) -> str:
    """One figure."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    sys.exit(main())
