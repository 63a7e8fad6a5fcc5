"""The training loop: one for every system and size, one process or many; a step is a function of what was before it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from dvla_ros import __version__
from dvla_ros.errors import TrainingError
from dvla_ros.provenance import machine_name
from dvla_ros.training.average import WeightAverage
from dvla_ros.training.batch import NumberedBatch, example_noise, losses_of
from dvla_ros.training.history import Stage, write_history
from dvla_ros.training.learning_rate import Schedule, learning_rate_share
from dvla_ros.training.processes import keeping_gradients, mean_over_all, place
from dvla_ros.training.progress import Progress, RunningMeans
from dvla_ros.training.run_folder import RESUME, RunFolder
from dvla_ros.training.run_state import TENSORS, RunTensors, RunValues, read_values, whole, write_state
from dvla_ros.training.subject import Lesson, Subject

Supply = Callable[[int], Iterator[NumberedBatch]]
"""From the number of steps that are done to this process' micro-batches from there on, on its device."""


@dataclass(frozen=True)
class LoopSettings:
    """How a run goes.

    Attributes:
        steps: Optimiser steps.
        examples: Of a step, over all processes and micro-batches.
        learning_rate: Peak.
        schedule: See `learning_rate`.
        warmup: Steps of the schedule's beginning.
        drop_after: See `learning_rate`.
        least: Likewise.
        weight_decay: Of AdamW, on matrices.
        betas: Of AdamW.
        epsilon: Likewise.
        max_norm: Gradients longer than this are made this long; infinite for no bound.
        ema: Decay of the averaged weights, which are what is written.
        seed: Of all randomness.
        shard: See `processes.place`.
        save_every: Steps between checkpoints.
        report_every: Steps between reports.
        identity: What a run that goes on must have in common with the one before, by name.
        before: The runs that led to the weights that this one starts from.
    """

    steps: int
    examples: int
    learning_rate: float
    schedule: Schedule
    warmup: int
    drop_after: int
    least: float
    weight_decay: float
    betas: tuple[float, float]
    epsilon: float
    max_norm: float
    ema: float
    seed: int
    shard: bool
    save_every: int
    report_every: int
    identity: Mapping[str, Any]
    before: tuple[Stage, ...] = ()


class TrainingLoop:
    """Network, optimiser and average of one run.

    Args:
        settings: How it goes.
        subject: What is trained; its network is placed on the device, and sharded where asked for.
        supply: Micro-batches.
        folder: Where checkpoints go.
        accelerator: The processes.
    """

    def __init__(
        self, settings: LoopSettings, subject: Subject, supply: Supply, folder: RunFolder, accelerator: Accelerator
    ) -> None:
        self.settings, self._subject, self._supply = settings, subject, supply
        self._folder, self._accelerator = folder, accelerator
        self._lesson = place(accelerator, Lesson(subject), settings.shard)
        self.trained = subject.trained
        self._optimiser = torch.optim.AdamW(
            _parameter_groups(subject, settings), lr=settings.learning_rate, betas=settings.betas, eps=settings.epsilon
        )
        self._peaks = [group["lr"] for group in self._optimiser.param_groups]
        self.average = WeightAverage(self.trained, settings.ema)
        self._tensors = RunTensors(self.trained, self.average, self._optimiser)
        self._means = RunningMeans()
        self.values = RunValues(0, settings.identity)

    def resume(self) -> int:
        """Go on from the last whole checkpoint; the number of steps that are done.

        Raises:
            TrainingError: It is of a run with other settings.
            CheckpointError: It is broken.
        """
        step = self._folder.to_resume()
        if step is None:
            return 0
        folder = self._folder.step(step) / RESUME
        values = read_values(folder)
        _require_same(values.settings, self.settings.identity, folder)
        self._tensors.restore(folder / TENSORS)
        self._means = RunningMeans(values.means, values.mean_count)
        self.values = values
        return step

    def run(self, report: Callable[[Progress], None], validate: Callable[[int], float | None] | None = None) -> None:
        """Train to the end.

        Args:
            report: Called in the first process with running means.
            validate: Called in the first process when the checkpoint of a step is on the disk; gives its score, higher
                is better, or None.

        Raises:
            TrainingError: A loss is not finite, or a checkpoint cannot be written.
        """
        settings, done, before = self.settings, self.values.step, self.values.seconds
        if done:
            self._choose(done, validate)  # a kill may have come before
        micro_batches, began = self._supply(done), time.monotonic()
        for step in range(done, settings.steps):
            progress = self._step(step, micro_batches)
            seconds = time.monotonic() - began
            self.values = replace(self.values, step=step + 1, seconds=before + seconds)
            last = step + 1 == settings.steps
            if last or (step + 1) % settings.report_every == 0:
                rate = settings.examples * (step + 1 - done) / seconds
                left = settings.examples * (settings.steps - step - 1) / rate
                self._report(
                    replace(progress, seconds=before + seconds, examples_per_second=rate, seconds_left=left), report
                )
            if last or (step + 1) % settings.save_every == 0:
                self._save()
                self._choose(step + 1, validate)

    def _report(self, progress: Progress, report: Callable[[Progress], None]) -> None:
        if self._accelerator.is_main_process:
            report(progress)

    def _step(self, step: int, micro_batches: Iterator[NumberedBatch]) -> Progress:
        settings, accelerator = self.settings, self._accelerator
        # Dropout draws from PyTorch's own generators: they too are a function of the step.
        torch.manual_seed(
            (settings.seed * settings.steps + step) * accelerator.num_processes + accelerator.process_index
        )
        share = learning_rate_share(
            settings.schedule, step, settings.steps, settings.warmup, settings.drop_after, settings.least
        )
        for group, peak in zip(self._optimiser.param_groups, self._peaks, strict=True):
            group["lr"] = peak * share
        self._lesson.train()
        exercises = [self._exercise(next(micro_batches)) for _ in range(accelerator.gradient_accumulation_steps)]
        found = self._backward(exercises, step)
        norm = nn.utils.clip_grad_norm_(self.trained.values(), settings.max_norm)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        self.average.update(step + 1)
        self._means.add(found)
        return Progress(
            step=step + 1,
            learning_rate=settings.learning_rate * share,
            gradient=float(whole(norm)),
            step_losses=found,
            losses=self._means.values(),
        )

    def _exercise(self, batch: NumberedBatch) -> Any:
        noise = example_noise(self.settings.seed, batch.numbers.tolist(), self._accelerator.device)
        return self._subject.objective.exercise(self._subject.complete(batch.batch), noise)

    def _backward(self, exercises: Sequence[Any], step: int) -> dict[str, float]:
        """Gradients of the mean over everything that makes up the step; the parts of the loss by name."""
        accelerator, objective = self._accelerator, self._subject.objective
        own = {name: torch.stack([e.counts[name].float() for e in exercises]).mean() for name in exercises[0].counts}
        counts = mean_over_all(accelerator, own)
        parts: list[dict[str, Tensor]] = []
        for index, exercise in enumerate(exercises):
            last = index == len(exercises) - 1
            with nullcontext() if last else keeping_gradients(accelerator, self._lesson):
                with accelerator.autocast():
                    sums = self._lesson(exercise)
                losses = losses_of(objective, sums, counts)
                accelerator.backward(losses.total)
            parts.append({"total": losses.total.detach(), **{n: p.detach() for n, p in losses.parts.items()}})
        together = {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}
        found = {name: value.item() for name, value in mean_over_all(accelerator, together).items()}
        self._require_finite(found, step)
        return found

    def _require_finite(self, found: Mapping[str, float], step: int) -> None:
        wrong = {name: value for name, value in found.items() if not abs(value) < float("inf")}
        if wrong:
            last = self._folder.to_resume()
            kept = "no step was saved" if last is None else f"the last good checkpoint is {self._folder.step(last)}"
            raise TrainingError(
                f"The loss of step {step + 1} is not finite ({wrong}); nothing was learned from it, and {kept}. "
                "Lower learning_rate, or look for broken frames with `dvla stats`."
            )

    def _save(self) -> None:
        """Checkpoint and state of this step."""
        tensors = self._tensors.gather()
        self.values = replace(self.values, means=self._means.values(), mean_count=self._means.count)
        if self._accelerator.is_main_process:
            prefix = "average."
            average = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}

            def write(path: Path) -> None:
                self._subject.write(path, average)
                write_history(path, (*self.settings.before, self._stage()))
                write_state(path / RESUME, tensors, self.values)

            self._folder.write(self.values.step, write)
        self._accelerator.wait_for_everyone()

    def _stage(self) -> Stage:
        values, processes = self.values, self._accelerator.num_processes
        return Stage(values.settings, values.step, processes, values.seconds, values.means, machine_name(), __version__)

    def _choose(self, step: int, validate: Callable[[int], float | None] | None) -> None:
        """Validate a step, put the best checkpoint on top, remove old ones."""
        if self._accelerator.is_main_process:
            if validate is not None and step not in self._folder.scores():
                score = validate(step)
                if score is not None:
                    self._folder.score(step, score)
            self._folder.publish(self._folder.chosen())
            self._folder.prune()
        self._accelerator.wait_for_everyone()


def _parameter_groups(subject: Subject, settings: LoopSettings) -> list[dict[str, Any]]:
    if subject.groups is not None:
        return subject.groups()
    parameters = list(subject.trained.values())
    matrices = [p for p in parameters if p.ndim >= 2]
    others = [p for p in parameters if p.ndim < 2]
    return [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]


def _require_same(before: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    differing = [f"{name}={before.get(name)!r}" for name in now if before.get(name) != now[name]]
    if differing:
        raise TrainingError(f"The run in {folder} has {', '.join(differing)}; resume with the same settings.")
