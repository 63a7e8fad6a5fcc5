"""How a checkpoint came about: every run that led to it, with its settings, in a file beside the weights."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dvla_ros.errors import CheckpointError
from dvla_ros.training.config import TrainConfig
from dvla_ros.training.fine_tune_config import FineTuneConfig
from dvla_ros.training.run_settings import identity

HISTORY = "training.json"
_COUNTED = ("examples", "frames")


@dataclass(frozen=True)
class Stage:
    """One run of several that led to a checkpoint.

    Attributes:
        settings: What its steps depend on, by name: those of `TrainConfig` or `FineTuneConfig`, "examples" of a step
            and "frames" that there were.
        steps: Optimiser steps done.
        processes: That shared each step.
        seconds: Trained.
        losses: Running means at the end, by name.
        machine: Where, in words.
        version: Of this package.
    """

    settings: Mapping[str, Any]
    steps: int
    processes: int
    seconds: float
    losses: Mapping[str, float]
    machine: str
    version: str

    @property
    def examples(self) -> int:
        """Observations of a step, over all processes."""
        return int(self.settings["examples"])

    @property
    def command(self) -> str:
        """The command of the same steps, without its --out: settings that are not preset, paths as they were given."""
        is_tuned, nowhere = "checkpoint" in self.settings, Path(".")
        config = FineTuneConfig(nowhere, (), nowhere) if is_tuned else TrainConfig((), nowhere)
        preset = identity(config)
        preset = {**preset, **preset.pop("perception", {})}
        settings = {name: value for name, value in self.settings.items() if name not in _COUNTED}
        settings |= settings.pop("perception", {})
        words = ["dvla"] if self.processes == 1 else ["torchrun", "--nproc-per-node", str(self.processes), "-m"]
        words += [] if self.processes == 1 else ["dvla_ros.cli"]
        words.append("fine-tune" if is_tuned else "train")
        for name, value in settings.items():
            if name not in preset or preset[name] != value:
                words += _option(name, value)
        a_process = self.examples // self.processes
        if a_process != config.batch_size:
            words += ["--batch-size", str(a_process)]
        return shlex.join([*words, "--accumulate", "1"] if is_tuned else words)


def read_history(folder: Path | None) -> tuple[Stage, ...]:
    """The runs that led to a checkpoint, the first one first; none where nothing is known.

    Raises:
        CheckpointError: The file is broken.
    """
    path = None if folder is None else folder / HISTORY
    if path is None or not path.is_file():
        return ()
    try:
        return tuple(Stage(**stage) for stage in json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path} does not tell how the checkpoint was trained ({error}); remove it.") from error


def write_history(folder: Path, stages: Sequence[Stage]) -> None:
    """Write the file of `read_history` into a folder that is there."""
    (folder / HISTORY).write_text(json.dumps([asdict(stage) for stage in stages], indent=1) + "\n")


def _option(name: str, value: Any) -> list[str]:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    return [f"--{flag}", *map(str, value if isinstance(value, list) else [value])]
