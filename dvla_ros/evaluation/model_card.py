"""What a model card says of a checkpoint that can be known: what it is, how it was trained, how well it works."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.markdown_table import FigureTable, has_part, rewrite_part
from dvla_ros.policies.inspection import inspect
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.training.history import Stage, read_history

CARD = "README.md"
CONTENTS, TRAINING, RESULTS = "contents", "training", "results"
_HEADINGS = {CONTENTS: "What it is", TRAINING: "How it was trained", RESULTS: "How well it works"}
_HEAD = """---
library_name: dvla_ros
pipeline_tag: robotics
---

# {name}

Say here what this policy is for, and what it is not for.
"""
_NOT_MEASURED = "Not measured yet: `dvla benchmark-sim --json FILE`, then `dvla model-card --results FILE`."
_NOT_TOLD = "The folder does not tell how it was trained."
_PATH_HEADINGS = ("observation to first command", "p50 ms", "p95 ms")


def write_card(folder: Path, deployment: Deployment | None, results: Sequence[Path]) -> Path:
    """Write a checkpoint's README.md, or bring one up to date: what stands between the comments of a part.

    Args:
        folder: Of the checkpoint.
        deployment: How a published checkpoint is used.
        results: Files that `dvla benchmark-sim`, `dvla simulate` and `benchmarks/ros_success.py` wrote with `--json`;
            without any the figures of a card stay as they are.

    Returns:
        The card.

    Raises:
        CheckpointError: The folder holds no checkpoint.
        ConfigurationError: A card has no part to write, or a file holds no such results.
    """
    parts = {CONTENTS: _contents(folder, deployment), TRAINING: training_part(read_history(folder))}
    if results:
        parts[RESULTS] = "\n\n".join(results_part(path) for path in results)
    card = folder / CARD
    if not card.is_file():
        card.write_text(_new_card(folder.resolve().name, {RESULTS: _NOT_MEASURED, **parts}))
        return card
    there = {name: content for name, content in parts.items() if has_part(card, name)}
    if not there:
        raise ConfigurationError(
            f"{card} has no part to write; put '<!-- {TRAINING}: begin -->' and '<!-- {TRAINING}: end -->' where it "
            f"shall stand (parts are {', '.join(_HEADINGS)}), or remove the card."
        )
    for name, content in there.items():
        rewrite_part(card, name, content)
    return card


def training_part(stages: Sequence[Stage]) -> str:
    """The runs that led to a checkpoint, and their commands."""
    if not stages:
        return _NOT_TOLD
    rows = tuple(
        (
            str(number),
            f"{stage.settings.get('frames', 0):,}".replace(",", " "),
            f"{stage.steps} x {stage.examples}",
            f"{stage.losses['total']:.3f}" if "total" in stage.losses else "–",
            f"{stage.seconds / 60:.0f} min",
            f"{stage.processes} on {stage.machine}",
        )
        for number, stage in enumerate(stages, start=1)
    )
    headings = ("run", "frames", "steps x observations", "loss", "time", "processes")
    commands = "\n".join(stage.command for stage in stages)
    return f"{FigureTable(headings, rows).markdown()}\n\n```sh\n{commands}\n```"


def results_part(path: Path) -> str:
    """Tables of a file of results.

    Raises:
        ConfigurationError: It cannot be read, or holds none.
    """
    try:
        results = json.loads(path.read_text())
        tables = _tables(results)
        below = f"{results['machine']}. `{results['command']}`"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path} holds no results of `dvla benchmark-sim --json`, `dvla simulate --json` or "
            f"`benchmarks/ros_success.py --json` ({error!r})."
        ) from error
    return "\n\n".join([*tables, below])


def _contents(folder: Path, deployment: Deployment | None) -> str:
    facts = inspect(folder, deployment).facts
    return FigureTable(("", ""), tuple(facts.items())).markdown()


def _new_card(name: str, parts: Mapping[str, str]) -> str:
    pieces = [_HEAD.format(name=name)]
    for part, heading in _HEADINGS.items():
        pieces.append(f"## {heading}\n\n<!-- {part}: begin -->\n{parts[part]}\n<!-- {part}: end -->\n")
    return "\n".join(pieces)


def _tables(results: Mapping[str, Any]) -> list[str]:
    if "cells" in results:
        return _in_simulation(results)
    return _through_ros(results) if "confusion" in results else _without_ros(results)


def _in_simulation(results: Mapping[str, Any]) -> list[str]:
    cells = results["cells"]
    several = len({cell["variant"] for cell in cells}) > 1
    headings = ("simulation", "task", "success", "95 % interval", "NFE")
    rows = [
        (
            f"{cell['variant']}, {cell['condition']}" if several else cell["condition"],
            cell["family"],
            f"{cell['successes']} of {cell['episodes']}",
            _interval(cell["wilson_95"]),
            f"{cell['nfe']:.1f}",
        )
        for cell in cells
    ]
    return [FigureTable(headings, tuple(rows)).markdown()]


def _without_ros(results: Mapping[str, Any]) -> list[str]:
    whole = f"NFE {results['nfe']:.1f}, decode p50 {results['decode_ms_p50']:.0f} ms."
    return [_by_family("without ROS", results), *_not_done(results), whole]


def _by_family(heading: str, results: Mapping[str, Any]) -> str:
    families = tuple(
        (name, f"{row['successes']} of {row['episodes']}", _interval(row["wilson_95"]))
        for name, row in results["by_family"].items()
    )
    return FigureTable((heading, "success", "95 % interval"), families).markdown()


def _through_ros(results: Mapping[str, Any]) -> list[str]:
    tables = [_by_family("through ROS", results)]
    for family, confusion in results["confusion"].items():
        columns = next(iter(confusion.values()))
        rows = [(asked, *map(str, counts.values())) for asked, counts in confusion.items() if any(counts.values())]
        tables.append(FigureTable((f"{family}: asked for \\ moved", *columns), tuple(rows)).markdown())
    taken = [
        (part.removesuffix("_ms").replace("_", " "), f"{times['p50']:.0f}", f"{times['p95']:.0f}")
        for part, times in results["observation_to_command_ms"].items()
    ]
    return [*tables, FigureTable(_PATH_HEADINGS, tuple(taken)).markdown(), *_not_done(results)]


def _not_done(results: Mapping[str, Any]) -> list[str]:
    failures = ", ".join(f"`{task}` seed {seed} ({outcome})" for task, seed, outcome, _ in results["failures"])
    return [f"Not done: {failures}."] if failures else []


def _interval(bounds: Sequence[float]) -> str:
    low, high = bounds
    return f"{100 * low:.0f}–{100 * high:.0f} %"
