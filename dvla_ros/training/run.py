"""A training loop with its folder, log and validation: what the commands run."""

from collections.abc import Callable, Mapping

from accelerate import Accelerator

from dvla_ros.training.loop import TrainingLoop
from dvla_ros.training.progress import Progress, RunLog
from dvla_ros.training.run_folder import RunFolder
from dvla_ros.training.validation import Validation

CONVERTED = "data"
"""Folder of a run for what recordings were converted to."""

Validated = Callable[[int, Mapping[str, float]], None]
"""Told the figures of a step's checkpoint."""


class Run:
    """One run of a loop.

    Args:
        loop: What trains.
        folder: Where checkpoints go.
        accelerator: The processes.
        resume: Go on from the last whole checkpoint.
        validation: Of each checkpoint; None for none.

    Attributes:
        loop: See above.
        folder: See above.
        done: Steps that are done already.

    Raises:
        TrainingError: The run to go on with has other settings.
        CheckpointError: Its state is broken.
    """

    def __init__(
        self,
        loop: TrainingLoop,
        folder: RunFolder,
        accelerator: Accelerator,
        resume: bool,
        validation: Validation | None,
    ) -> None:
        self.loop, self.folder = loop, folder
        self._accelerator, self._validation = accelerator, validation
        self.done = loop.resume() if resume else 0

    @property
    def is_first(self) -> bool:
        """Whether this process writes and reports."""
        return bool(self._accelerator.is_main_process)

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return self.loop.settings.steps

    def __call__(self, report: Callable[[Progress], None], validated: Validated = lambda step, figures: None) -> None:
        """Train to the end; the first process calls `report` with losses and `validated` with figures of a step."""
        if not self.is_first:
            self.loop.run(report)
            return
        log = RunLog(self.folder.log, self.folder.board, self.done)

        def both(progress: Progress) -> None:
            log.report(progress)
            report(progress)

        def validate(step: int) -> float | None:
            if self._validation is None:
                return None
            figures = self._validation.measure(self.folder.step(step))
            log.validated(step, figures)
            validated(step, figures)
            return figures["score"]

        self.loop.run(both, validate)
