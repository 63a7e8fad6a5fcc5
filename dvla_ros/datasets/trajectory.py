"""What every data set holds and every conversion passes on: an episode at a fixed rate, one action a frame."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from dvla_ros.datasets.pictures import Pictures
from dvla_ros.errors import RecordingError

STATE_NAMES = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
"""Columns of a Bridge state: m, rad, opening 0..1."""


@dataclass(frozen=True)
class Trajectory:
    """Consecutive frames of one episode.

    Attributes:
        episode: Number of the episode that they are of; one that has holes gives several trajectories.
        instruction: What was asked for; empty where nobody said.
        states: float32 `[T, S]`, Bridge states of a WidowX.
        actions: float32 `[T, D]`, what was commanded from each frame to the next; Bridge actions of a WidowX.
        pictures: Of T frames, all cameras.

    Raises:
        RecordingError: The parts have different lengths.
    """

    episode: int
    instruction: str
    states: np.ndarray
    actions: np.ndarray
    pictures: Pictures

    def __post_init__(self) -> None:
        lengths = (len(self.states), len(self.actions), len(self.pictures))
        if len(set(lengths)) > 1:
            raise RecordingError(
                f"Episode {self.episode} has {lengths[0]} states, {lengths[1]} actions and {lengths[2]} pictures; they "
                "must be as many."
            )

    def __len__(self) -> int:
        return len(self.states)

    def select(self, rows: np.ndarray) -> "Trajectory":
        """Some of the frames, as if nothing had been between them."""
        return replace(self, states=self.states[rows], actions=self.actions[rows], pictures=self.pictures.select(rows))


class Source(Protocol):
    """A data set or recordings, to be read once from the beginning to the end."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def cameras(self) -> tuple[str, ...]:
        """Cameras in the order of the pictures."""
        ...

    @property
    def fps(self) -> float:
        """Frames a second."""
        ...

    @property
    def convention(self) -> str:
        """What the actions are and where they come from, in words."""
        ...

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        ...

    @property
    def warnings(self) -> list[str]:
        """What was left out and why; grows while reading."""
        ...

    def trajectories(self) -> Iterator[Trajectory]:
        """All trajectories, in order of their episodes."""
        ...
