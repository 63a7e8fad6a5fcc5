"""What a run reports: one line a step that is reported, for people, a file and TensorBoard."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    Attributes:
        step: Optimiser steps done.
        learning_rate: Of the step.
        gradient: Norm of the gradient before it was clipped.
        seconds: Trained so far.
        examples_per_second: Over all processes, since this process began.
        seconds_left: Until the last step, at this rate.
        step_losses: Of the step alone, by name.
        losses: Running means by name.
    """

    step: int
    learning_rate: float
    gradient: float
    seconds: float = 0.0
    examples_per_second: float = 0.0
    seconds_left: float = 0.0
    step_losses: Mapping[str, float] = field(default_factory=dict)
    losses: Mapping[str, float] = field(default_factory=dict)


class RunningMeans:
    """Exponential means of the losses by name; plain means at first.

    Args:
        means: To go on with.
        count: Steps in these.
    """

    def __init__(self, means: Mapping[str, float] | None = None, count: int = 0) -> None:
        self.count, self._means = count, dict(means or {})

    def add(self, losses: Mapping[str, float]) -> None:
        """Take in one step."""
        self.count += 1
        share = max(0.01, 1.0 / self.count)
        for name, loss in losses.items():
            mean = self._means.get(name, loss)
            self._means[name] = mean + share * (loss - mean)

    def values(self) -> dict[str, float]:
        """The means so far."""
        return dict(self._means)


class RunLog:
    """Appends to the log file and to TensorBoard.

    Args:
        log: File of JSON lines.
        board: Folder of TensorBoard's files.
        done: Steps that are done; later lines of a run that was killed are taken out.
    """

    def __init__(self, log: Path, board: Path, done: int) -> None:
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists():
            kept = [line for line in log.read_text().splitlines() if _step_of(line) <= done] if done else []
            log.write_text("".join(f"{line}\n" for line in kept))
        self._board = SummaryWriter(str(board), purge_step=done + 1 if done else None)

    def report(self, progress: Progress) -> None:
        """Add a line."""
        self._write(asdict(progress))
        for name, value in {**progress.losses, "learning_rate": progress.learning_rate}.items():
            self._board.add_scalar(f"train/{name}", value, progress.step)
        self._board.add_scalar("train/examples_per_second", progress.examples_per_second, progress.step)
        self._board.add_scalar("train/gradient", progress.gradient, progress.step)
        self._board.flush()

    def validated(self, step: int, figures: Mapping[str, float]) -> None:
        """Add the figures of a validation."""
        self._write({"step": step, "validation": dict(figures)})
        for name, value in figures.items():
            self._board.add_scalar(f"validation/{name}", value, step)
        self._board.flush()

    def _write(self, values: Mapping[str, object]) -> None:
        with self._log.open("a") as log:
            log.write(json.dumps(values) + "\n")


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return 0
