"""What is measured at a seam."""

import numpy as np
import pytest

from dvla_ros.control.action_space import Target
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.kinematics import forward
from dvla_ros.control.motion import Waypoint
from dvla_ros.control.plan import Row
from dvla_ros.control.seams import measure_seam

START = np.array([0.1, -0.3, 0.6, 0.05, 1.2, 0.0])


def row(due: float, start: np.ndarray, goal: np.ndarray) -> Row:
    target = Target(goal, forward(goal), 1.0)
    path = (Waypoint(due + 0.2, goal),)
    return Row(due, due + 0.2, np.zeros(7), ControlMode.EE_POSE, (0, 0, 0), start, path, target)


def test_even_motion_has_no_jump() -> None:
    same = row(0.0, START, START + 0.01)
    position, velocity = measure_seam(same, same, None)
    assert (position, velocity) == (0.0, pytest.approx(0.0, abs=1e-12))


def test_reversal_changes_the_velocity_by_twice_the_speed() -> None:
    there, back = row(0.0, START, START + 0.01), row(0.2, START + 0.01, START)
    speed = np.linalg.norm(forward(START + 0.01)[:3, 3] - forward(START)[:3, 3]) / 0.2
    assert measure_seam(there, back, None)[1] == pytest.approx(2.0 * speed)


def test_what_the_alignment_takes_away_is_the_jump_in_position() -> None:
    there, on = row(0.0, START, START + 0.01), row(0.2, START + 0.01, START + 0.02)
    pose = np.eye(4)
    pose[:3, 3] = [0.003, 0.0, 0.004]
    assert measure_seam(there, on, pose)[0] == pytest.approx(0.005)
    joints = np.array([0.05, 0, 0, 0, 0, 0])
    expected = np.linalg.norm(forward(START + 0.01)[:3, 3] - forward(START + 0.01 - joints)[:3, 3])
    assert measure_seam(there, on, joints)[0] == pytest.approx(expected)
