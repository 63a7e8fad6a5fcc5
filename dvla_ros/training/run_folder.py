"""The folder of a training run: checkpoints of some steps, each whole or not there, and the chosen one on top.

```
OUT/                      the checkpoint to use: of the best validation, or the last one
OUT/steps/000500/         a checkpoint that loads as it is
OUT/steps/000500/resume/  what a run needs to go on from there
OUT/steps/scores.json     what the validation of each step gave
OUT/training_log.jsonl    losses and figures
OUT/tensorboard/          the same for TensorBoard
```
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from dvla_ros.errors import CheckpointError, TrainingError

STEPS, RESUME, LOG, BOARD, SCORES = "steps", "resume", "training_log.jsonl", "tensorboard", "scores.json"
_PARTIAL = ".partial"


class RunFolder:
    """Writes and finds checkpoints.

    Args:
        root: OUT.
        keep: How many of the last steps to keep, beside the best one.
    """

    def __init__(self, root: Path, keep: int) -> None:
        self.root, self._keep = root, keep

    @property
    def log(self) -> Path:
        """One JSON line a report."""
        return self.root / LOG

    @property
    def board(self) -> Path:
        """Of TensorBoard."""
        return self.root / BOARD

    def step(self, number: int) -> Path:
        """Folder of a step's checkpoint."""
        return self.root / STEPS / f"{number:06d}"

    def steps(self) -> list[int]:
        """Steps with a whole checkpoint, in order."""
        folders = (self.root / STEPS).glob("[0-9]*")
        return sorted(int(folder.name) for folder in folders if folder.name.isdigit())

    def write(self, number: int, write: Callable[[Path], None]) -> Path:
        """Write the checkpoint of a step under another name, and give it its own when all is on the disk.

        Args:
            number: Of the step.
            write: Fills a folder that is there.

        Raises:
            TrainingError: It cannot be written; what was there before is as it was.
        """
        done = self.step(number)
        partial = done.with_name(done.name + _PARTIAL)
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            write(partial)
            for path in [*partial.rglob("*"), partial]:
                _to_disk(path)
            shutil.rmtree(done, ignore_errors=True)
            partial.rename(done)
            _to_disk(done.parent)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            last = self.steps()
            before = f"the last good checkpoint is {self.step(last[-1])}" if last else "there is none before it"
            raise TrainingError(
                f"The checkpoint of step {number} cannot be written ({error}); {before}. Make room and resume."
            ) from error
        return done

    def scores(self) -> dict[int, float]:
        """What the validation of each step gave, higher is better."""
        path = self.root / STEPS / SCORES
        return {int(step): score for step, score in json.loads(path.read_text()).items()} if path.exists() else {}

    def score(self, number: int, score: float) -> None:
        """Remember what the validation of a step gave."""
        path = self.root / STEPS / SCORES
        partial = path.with_name(SCORES + _PARTIAL)
        partial.write_text(json.dumps(self.scores() | {number: score}))
        partial.replace(path)

    def chosen(self) -> int:
        """The step of the best validation, the later of equals; the last one where none was validated."""
        there = self.steps()
        scores = {step: score for step, score in self.scores().items() if step in there}
        return max(scores, key=lambda step: (scores[step], step)) if scores else there[-1]

    def prune(self) -> None:
        """Remove all but the last steps and the best one."""
        chosen = self.chosen()
        for number in self.steps()[: -self._keep]:
            if number != chosen:
                shutil.rmtree(self.step(number))

    def publish(self, number: int) -> None:
        """Put the checkpoint of a step on top of the folder, where it is loaded from; file by file, whole ones only.

        Raises:
            TrainingError: It cannot be written.
        """
        source = self.step(number)
        try:
            for path in sorted(source.rglob("*")):
                name = path.relative_to(source)
                if name.parts[0] == RESUME or path.is_dir():
                    continue
                target = self.root / name
                target.parent.mkdir(parents=True, exist_ok=True)
                partial = target.with_name(target.name + _PARTIAL)
                partial.unlink(missing_ok=True)
                _link_or_copy(path, partial)
                partial.replace(target)
        except OSError as error:
            raise TrainingError(f"{self.root} cannot be written ({error}); {source} is the checkpoint.") from error

    def to_resume(self) -> int | None:
        """The last step with a whole checkpoint; None where there is none."""
        steps = self.steps()
        return steps[-1] if steps else None

    def require_new(self) -> None:
        """Refuse to mix two runs.

        Raises:
            CheckpointError: There are steps of another run.
        """
        if steps := self.steps():
            raise CheckpointError(
                f"{self.root} holds a run of {steps[-1]} steps: go on with it (resume), or name another folder."
            )


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _link_or_copy(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the file system has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
