"""The sub-commands of `dvla` about checkpoints: look into one, write its card or its golden chunk, make a fresh one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console
from rich.table import Table

from dvla_ros.errors import CheckpointError, ConfigurationError

console = Console()


@dataclass(frozen=True)
class InspectCheckpoint:
    """Say what a checkpoint is: system, sizes, statistics, cameras, chunk, conventions, memory needed.

    Attributes:
        checkpoint: The folder.
        deployment: YAML file that says how a published checkpoint is used.
        json: File for the result.
    """

    checkpoint: tyro.conf.Positional[Path]
    deployment: Path | None = None
    json: Path | None = None


def inspect_checkpoint(words: Sequence[str]) -> int:
    """`dvla inspect-checkpoint`; 1 where the checkpoint cannot be used as it is."""
    options = tyro.cli(InspectCheckpoint, args=words, prog="dvla inspect-checkpoint")
    from dvla_ros.policies.inspection import inspect

    found = inspect(options.checkpoint, _deployment(options.deployment))
    facts = Table(title=str(options.checkpoint), show_header=False)
    for name, value in found.facts.items():
        facts.add_row(name, value)
    console.print(facts)
    columns = Table(title="actions")
    for heading in ("column", "-1 means", "1 means"):
        columns.add_column(heading, justify="left" if heading == "column" else "right")
    for column in found.columns:
        bounds = (f"{column.low:.5g}", f"{column.high:.5g}") if column.normalized else ("as it is", "as it is")
        columns.add_row(column.name, *bounds)
    console.print(columns)
    for problem in found.problems:
        console.print(f"[red]cannot be used:[/] {problem}", soft_wrap=True)
    if options.json is not None:
        options.json.write_text(json.dumps(found.to_json(), indent=1) + "\n")
    return 1 if found.problems else 0


@dataclass(frozen=True)
class ModelCard:
    """Write a checkpoint's README.md, or bring its parts up to date: what it is, how it was trained, how well it works.

    Attributes:
        checkpoint: The folder.
        deployment: YAML file that says how a published checkpoint is used.
        results: Files of figures, as dvla benchmark-sim, dvla simulate or benchmarks/ros_success.py write them as JSON.
    """

    checkpoint: tyro.conf.Positional[Path]
    deployment: Path | None = None
    results: tuple[Path, ...] = ()


def model_card(words: Sequence[str]) -> int:
    """`dvla model-card`."""
    options = tyro.cli(ModelCard, args=words, prog="dvla model-card")
    from dvla_ros.evaluation.model_card import write_card

    card = write_card(options.checkpoint, _deployment(options.deployment), options.results)
    console.print(f"Wrote {card}.")
    return 0


@dataclass(frozen=True)
class Golden:
    """Ask a checkpoint about one simulated scene and keep the answer, to be asked again whenever it is loaded.

    Attributes:
        checkpoint: The folder.
        deployment: YAML file that says how a published checkpoint is used.
        out: File to write; by default golden_chunk.safetensors in the checkpoint's folder.
        instruction: What to do.
        task: Simulated task whose scene is seen.
        seed: Of the scene and of the answer.
        device: cpu or cuda.
    """

    checkpoint: tyro.conf.Positional[Path]
    deployment: Path | None = None
    out: Path | None = None
    instruction: str = "pick up the red cube"
    task: str = "pick_red"
    seed: int = 0
    device: str = "cpu"


def golden(words: Sequence[str]) -> int:
    """`dvla golden`."""
    options = tyro.cli(Golden, args=words, prog="dvla golden")
    from dvla_ros.evaluation.scene_observation import observation_of_scene
    from dvla_ros.policies.golden import GOLDEN, GoldenChunk
    from dvla_ros.policies.load import load_policy

    policy = load_policy(options.checkpoint, options.device, deployment=_deployment(options.deployment))
    observation = observation_of_scene(policy.spec, options.task, options.seed, options.instruction)
    chunk = GoldenChunk.record(policy, observation, options.device, options.seed)
    path = options.out or options.checkpoint / GOLDEN
    chunk.save(path)
    console.print(f"Wrote {path}: {len(chunk.actions)} actions for '{options.instruction}'.")
    return 0


@dataclass(frozen=True)
class FreshCheckpoint:
    """Write a checkpoint with random weights, in the layout of a published system: for tests and measurements.

    Attributes:
        out: Folder to write; must not hold a checkpoint.
        system: Whose layout: dd_vla, ud_vla, dfm_vla, llada_vla or diffusion_vla.
        size: small, tiny sizes with the published vocabularies; true, the published sizes.
        seed: Of the weights.
    """

    out: tyro.conf.Positional[Path]
    system: str = "dd_vla"
    size: Literal["small", "true"] = "small"
    seed: int = 0


def fresh_checkpoint(words: Sequence[str]) -> int:
    """`dvla fresh-checkpoint`."""
    options = tyro.cli(FreshCheckpoint, args=words, prog="dvla fresh-checkpoint")
    from dvla_ros.policies.published.fresh import WRITERS

    if options.system not in WRITERS:
        raise ConfigurationError(f"There is no system {options.system!r}; choose one of {', '.join(WRITERS)}.")
    if options.out.exists() and any(options.out.iterdir()):
        raise CheckpointError(f"{options.out} is not empty; nothing is written into a folder that holds something.")
    WRITERS[options.system](options.out, size=options.size, seed=options.seed)
    console.print(f"Wrote {options.out}: {options.system}, {options.size}, random weights.")
    return 0


def _deployment(path: Path | None):  # type: ignore[no-untyped-def]  # imported late
    from dvla_ros.policies.published.deployment import Deployment

    return None if path is None else Deployment.load(path)
