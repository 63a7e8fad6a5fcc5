"""The numbers of a whole data set, without its pictures."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from dvla_ros.actions.normalization import DatasetStatistics, FeatureStatistics
from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.datasets.trajectory import Trajectory
from dvla_ros.errors import RecordingError

GRIPPER = len(ACTION_NAMES) - 1


@dataclass(frozen=True)
class Stretch:
    """The numbers of one trajectory.

    Attributes:
        episode: Its episode.
        instruction: Its sentence.
        states: `[T, S]`.
        actions: `[T, D]`.
    """

    episode: int
    instruction: str
    states: np.ndarray
    actions: np.ndarray


@dataclass(frozen=True)
class Gathered:
    """All numbers.

    Attributes:
        stretches: In the order of the source.
        fps: Frames a second.
        episodes: How many the source has, those that gave nothing among them.
    """

    stretches: tuple[Stretch, ...]
    fps: float
    episodes: int

    @property
    def states(self) -> np.ndarray:
        """`[N, S]`."""
        return np.concatenate([stretch.states for stretch in self.stretches])

    @property
    def actions(self) -> np.ndarray:
        """`[N, D]`."""
        return np.concatenate([stretch.actions for stretch in self.stretches])

    @property
    def is_bridge(self) -> bool:
        """Whether states and actions have the columns of Bridge's."""
        return {self.states.shape[1], self.actions.shape[1]} == {len(ACTION_NAMES)}

    def by_episode(self) -> Iterator[tuple[int, int, str]]:
        """Of each episode that gave frames: its number, its frames and its sentence."""
        for episode in dict.fromkeys(stretch.episode for stretch in self.stretches):
            own = [stretch for stretch in self.stretches if stretch.episode == episode]
            yield episode, sum(len(stretch.states) for stretch in own), own[0].instruction


def gather(trajectories: Iterable[Trajectory], fps: float, episodes: int) -> Gathered:
    """Read all numbers.

    Args:
        trajectories: Of a source.
        fps: Its rate.
        episodes: How many it has; known for some only once it has been read, hence given afterwards.

    Raises:
        RecordingError: There is not a single frame, or trajectories have different columns.
    """
    stretches = tuple(Stretch(t.episode, t.instruction, t.states, t.actions) for t in trajectories if len(t))
    if not stretches:
        raise RecordingError("There is not a single usable frame.")
    shapes = {(s.states.shape[1], s.actions.shape[1]) for s in stretches}
    if len(shapes) > 1:
        raise RecordingError(f"Episodes have different numbers of columns (states, actions): {sorted(shapes)}.")
    return Gathered(stretches, fps, episodes)


def statistics_of(gathered: Gathered) -> DatasetStatistics:
    """Statistics in the published form; the gripper of an action passes through unnormalised.

    Raises:
        ActionError: A number is not finite.
    """
    mask = np.arange(gathered.actions.shape[1]) != GRIPPER
    return DatasetStatistics(
        action=FeatureStatistics.fit(gathered.actions, mask),
        proprio=FeatureStatistics.fit(gathered.states),
        num_transitions=len(gathered.actions),
        num_trajectories=len(gathered.stretches),
    )
