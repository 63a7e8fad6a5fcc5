"""Bags of a teleoperated WidowX: joint targets, measured joints that follow them, two cameras, sentences."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from bags import TOPICS, Written, image, joint_states, text, trajectory, write_bag
from demonstrated import pictures

from dvla_ros.control.widowx import ARM_JOINTS, NEUTRAL, finger_from_gripper
from dvla_ros.control.widowx_streams import camera_topic

BEGIN = 1_700_000_000.0
EPISODE_S, PAUSE_S = 5.0, 3.0
FOLLOWS_S = 0.1
_JOINTS_HZ, _COMMANDS_HZ, _CAMERA_HZ = 50, 25, 10
_SENTENCES = ("pick up the red cube", "wipe the table")
_SWING = np.array([0.15, 0.08, 0.06, 0.1, 0.06, 0.2])


def targets(time: float, episode: int) -> np.ndarray:
    """Commanded joints `[6]`."""
    rates = np.array([0.9, 0.7, 1.1, 0.8, 1.0, 0.6]) + 0.1 * episode
    joints: np.ndarray = np.array(NEUTRAL) + _SWING * (np.sin(rates * time + episode) - np.sin(episode))
    return joints


def gripper(time: float) -> float:
    """Commanded opening: closed in the middle of an episode."""
    return 0.0 if 1.6 < time < 3.8 else 1.0


def episode(number: int, begin: float, sentence: str) -> Iterator[Written]:
    """One episode; everything is recorded 4 ms after its stamp."""
    if sentence:
        yield TOPICS.instruction, begin, text(sentence)
    seconds = EPISODE_S
    for tick in range(round(seconds * _JOINTS_HZ)):
        time = tick / _JOINTS_HZ
        stamp, before = begin + time, max(time - FOLLOWS_S, 0.0)
        finger = finger_from_gripper(gripper(before))
        yield TOPICS.joint_states, stamp + 0.004, joint_states(stamp, targets(before, number), finger)
        if tick % (_JOINTS_HZ // _COMMANDS_HZ) == 0:
            goal = [finger_from_gripper(gripper(time))]
            arm = trajectory(stamp, targets(time, number), ARM_JOINTS, after=0.04)
            yield TOPICS.arm_trajectory, stamp + 0.004, arm
            yield TOPICS.gripper_trajectory, stamp + 0.004, trajectory(stamp, goal, ("left_finger",), after=0.04)
        if tick % (_JOINTS_HZ // _CAMERA_HZ) == 0:
            away = targets(before, number) - NEUTRAL + [0, 0, 0.2, 0, 0, 0]
            shown = pictures(np.array([[*away, 0.0]]))[0]
            for camera, picture in zip(TOPICS.cameras, shown, strict=True):
                yield camera_topic(camera, False), stamp + 0.004, image(stamp, picture)


def messages(episodes: int = 3, sentences: tuple[str, ...] = _SENTENCES) -> list[Written]:
    """Episodes with pauses between them."""
    return [
        message
        for number in range(episodes)
        for message in episode(number, BEGIN + number * (EPISODE_S + PAUSE_S), sentences[number % len(sentences)])
    ]


def teleoperated_bag(folder: Path, episodes: int = 3, sentences: tuple[str, ...] = _SENTENCES) -> Path:
    """The bag of `messages`."""
    return write_bag(folder, messages(episodes, sentences))
