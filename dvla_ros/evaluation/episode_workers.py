"""Episodes in several processes at once, each with one policy, one thread and an OpenGL context of its own."""

import signal
import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from dvla_ros.errors import ConfigurationError, DvlaError, SimulationError
from dvla_ros.evaluation.simulated import Episode, SimulateConfig, SimulatedEpisodes
from dvla_ros.policies.base import Policy
from dvla_ros.policies.load import load_policy

_LEAVE_S = 5.0
"""A worker that is told to leave has so long, then it is ended."""


@dataclass(frozen=True)
class EpisodeJob:
    """One episode to run.

    Attributes:
        checkpoint: Folder of the policy.
        decoding: Settings of the decoder that replace the checkpoint's.
        device: cpu or cuda.
        plan: How it is run.
        task: Task name.
        seed: Scene seed.
    """

    checkpoint: Path
    decoding: Mapping[str, object]
    device: str
    plan: SimulateConfig
    task: str
    seed: int

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.task}, scene {self.seed}, of {self.checkpoint}"


def run_jobs(jobs: Sequence[EpisodeJob], workers: int) -> Iterator[tuple[int, Episode]]:
    """The number of each job and how its episode went, as they are done.

    Args:
        jobs: In the order in which they are begun; neighbours of one policy save loading it.
        workers: Processes; 1 runs in this one.

    Raises:
        ConfigurationError: There is not at least one worker.
        DvlaError: What an episode raised, or that a worker ended.
    """
    if workers < 1:
        raise ConfigurationError(f"workers must be 1 or more, got {workers}.")
    if workers == 1 or len(jobs) < 2:
        runner = _Runner()
        yield from ((number, runner.run(job)) for number, job in enumerate(jobs))
    else:
        yield from _in_processes(jobs, min(workers, len(jobs)))


class _Runner:
    """Keeps the policy and the simulation of the last job, which the next one mostly needs again."""

    def __init__(self) -> None:
        self._loaded: tuple[object, Policy] | None = None
        self._open: tuple[object, SimulatedEpisodes] | None = None

    def run(self, job: EpisodeJob) -> Episode:
        which = (job.checkpoint, dict(job.decoding), job.device)
        if self._loaded is None or self._loaded[0] != which:
            self._close()
            self._loaded = None  # before the next one is loaded: there is one policy at a time
            self._loaded = (which, load_policy(job.checkpoint, job.device, job.decoding))
        rules = replace(job.plan, tasks=(job.task,), episodes=1, seed=0)
        if self._open is None or self._open[0] != replace(rules, tasks=("pick_red",)):
            self._close()
            self._open = (replace(rules, tasks=("pick_red",)), SimulatedEpisodes(self._loaded[1], rules))
        return self._open[1].episode(job.task, job.seed)

    def _close(self) -> None:
        if self._open is not None:
            self._open[1].close()
        self._open = None


def _in_processes(jobs: Sequence[EpisodeJob], workers: int) -> Iterator[tuple[int, Episode]]:
    """Every worker is handed its next job when it has answered: nothing is lost but what is in the air."""
    waiting = deque(enumerate(jobs))
    processes: dict[Connection, BaseProcess] = {}
    busy: dict[Connection, int] = {}
    try:
        for _ in range(workers):
            line, process = _started()
            processes[line] = process
            busy[line] = _hand_out(line, waiting)
        while busy:
            for line in wait(list(busy)):
                assert isinstance(line, Connection)
                number = busy.pop(line)
                episode = _answer(line, processes[line], jobs[number])
                if waiting:
                    busy[line] = _hand_out(line, waiting)
                yield number, episode
    finally:
        for line in processes:
            line.close()
        for process in processes.values():
            process.join(0.0 if busy else _LEAVE_S)
            if process.is_alive():
                process.terminate()
                process.join()


def _started() -> tuple[Connection, BaseProcess]:
    """A worker, and the line to it; when either end is gone, the other one notices."""
    context = get_context("spawn")  # a fork would inherit OpenGL and threads that do not work in it
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(there,), daemon=True)
    process.start()
    there.close()
    return here, process


def _hand_out(line: Connection, waiting: "deque[tuple[int, EpisodeJob]]") -> int:
    number, job = waiting.popleft()
    with suppress(BrokenPipeError):  # a worker that is gone is noticed when it does not answer
        line.send(job)
    return number


def _answer(line: Connection, process: BaseProcess, job: EpisodeJob) -> Episode:
    try:
        answer = line.recv()
    except (EOFError, ConnectionResetError) as error:
        process.join()
        raise SimulationError(
            f"A worker ended with exit code {process.exitcode} at {job.name}. What was done is recorded; if memory ran "
            "out (-9), go on with fewer workers."
        ) from error
    if isinstance(answer, DvlaError):
        raise answer
    assert isinstance(answer, Episode)
    return answer


def _work(line: Connection) -> None:
    """Run jobs until the other end of the line is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that hands out the jobs decides
    torch.set_num_threads(1)
    runner = _Runner()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            job = line.recv()
            try:
                answer: Episode | DvlaError = runner.run(job)
            except DvlaError as error:
                answer = error
            except Exception:  # whatever it is, the other process says it
                answer = SimulationError(f"{job.name} failed:\n{traceback.format_exc()}")
            line.send(answer)
