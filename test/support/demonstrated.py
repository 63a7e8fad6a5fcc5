"""Believable trajectories of a WidowX: what a good data set looks like, for tests that then spoil it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from dvla_ros.datasets.pictures import Pictures
from dvla_ros.datasets.trajectory import Trajectory

CAMERAS = ("front", "wrist")
FPS = 5.0
SIZE = (64, 48)
LAG = 1
"""Frames by which the measured arm comes after what was commanded."""


def trajectory(episode: int = 0, frames: int = 40, instruction: str = "pick up the red cube") -> Trajectory:
    """The arm wanders, the gripper closes in the middle and opens near the end."""
    random = np.random.default_rng(episode)
    time = np.arange(frames)[:, None] / FPS
    phase, rate = random.uniform(0, 6.28, (2, 6))
    size = np.array([0.02, 0.02, 0.02, 0.05, 0.05, 0.08])
    actions = np.concatenate([size * np.sin(phase + (0.8 + 0.3 * rate) * time), np.ones((frames, 1))], axis=1)
    actions[frames // 3 : 3 * frames // 4, 6] = 0.0
    start = np.array([0.3, 0.0, 0.2, 0.0, 0.0, 0.0])
    way = np.concatenate([np.zeros((LAG + 1, 6)), actions[: -LAG - 1, :6]]).cumsum(axis=0)
    gripper = np.concatenate([np.ones(LAG), actions[:-LAG, 6]])
    states = np.concatenate([start + way, gripper[:, None]], axis=1)
    return Trajectory(
        episode, instruction, states.astype(np.float32), actions.astype(np.float32), Pictures(pictures(states))
    )


def pictures(states: np.ndarray) -> np.ndarray:
    """A disc that moves with the arm before a smooth background, above a bar that grows, uint8 `[T, C, h, w, 3]`."""
    width, height = SIZE
    across, down = np.meshgrid(np.linspace(40, 200, width), np.linspace(30, 180, height))
    shown = np.empty((len(states), len(CAMERAS), height, width, 3), np.uint8)
    for i, state in enumerate(states):
        for camera in range(len(CAMERAS)):
            picture = np.stack([across, down, 255 - across], axis=-1).astype(np.uint8)
            centre = (int(width / 2 + 60 * state[camera] - 15 * (camera == 0)), int(height / 2 + 60 * (state[2] - 0.2)))
            cv2.circle(picture, centre, 6, (200, 40, 40), -1, cv2.LINE_AA)
            picture[-8:, : 1 + i % width] = 20
            shown[i, camera] = picture
    return shown


@dataclass
class HeldSource:
    """A source of trajectories that are in memory; `empty` of its episodes gave none."""

    held: Sequence[Trajectory]
    name: str = "held"
    cameras: tuple[str, ...] = CAMERAS
    fps: float = FPS
    convention: str = "made for a test"
    warnings: list[str] = field(default_factory=list)
    empty: int = 0

    @property
    def episodes(self) -> int:
        return len({t.episode for t in self.held}) + self.empty

    def trajectories(self) -> Iterator[Trajectory]:
        yield from self.held


def good(episodes: int = 3, frames: int = 40) -> list[Trajectory]:
    """Several of them, two sentences."""
    sentences = ("pick up the red cube", "wipe the table")
    return [trajectory(i, frames, sentences[i % 2]) for i in range(episodes)]
