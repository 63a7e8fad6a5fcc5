"""The oracle: silent about smooth commands, and it finds every kind of wrong one."""

import numpy as np
import pytest

from dvla_ros.control.kinematics import forward
from dvla_ros.control.motion import JointMotion, Waypoint
from dvla_ros.control.safety import SafetyConfig
from dvla_ros.control.widowx import NEUTRAL
from dvla_ros.evaluation.command_oracle import CommandOracle, CommandRecord

SAFETY = SafetyConfig()
HZ = 50
NOON = 1.8e9


def smooth(count: int = 100, hz: int = HZ, way: float = 0.3) -> CommandRecord:
    """Joints that move by `way` in 0.8 s and rest."""
    motion = JointMotion(NEUTRAL, SAFETY.motion_limits)
    motion.follow([Waypoint(NOON + 0.8, NEUTRAL + way * np.array([1.0, -0.2, 0.0, 1.0, -0.3, 1.0]))], NOON)
    times = NOON + np.arange(count) / hz
    arms, velocities = motion.samples(times)
    return CommandRecord(times, arms, velocities, np.linspace(0.0, 1.0, count), NEUTRAL.copy())


def kinds(record: CommandRecord, safety: SafetyConfig = SAFETY, max_gap_s: float = 0.1) -> set[str]:
    return {violation.kind for violation in CommandOracle(safety, max_gap_s).violations(record)}


def moved(record: CommandRecord, index: int, joint: int, by: float) -> CommandRecord:
    record.arms[index:, joint] += by
    return record


@pytest.mark.parametrize("hz", [20, 50, 200, 500])
def test_smooth_commands_are_in_order(hz: int) -> None:
    assert kinds(smooth(count=2 * hz, hz=hz)) == set()


def test_uneven_ticks_change_nothing() -> None:
    rng = np.random.default_rng(0)
    motion = JointMotion(NEUTRAL, SAFETY.motion_limits)
    motion.follow([Waypoint(NOON + 0.3, NEUTRAL + 1.0)], NOON)  # at the limits all the time
    times = NOON + np.cumsum(rng.uniform(0.0, 0.03, 200))
    arms, velocities = motion.samples(times)
    assert kinds(CommandRecord(times, arms, velocities, np.zeros(200), arms[0])) <= {"workspace", "joint_range"}


def test_limits_are_exceeded_by_motion_made_for_higher_ones() -> None:
    low = SafetyConfig(joint_velocity=(0.3,) * 6, joint_acceleration=(1.0,) * 6, joint_jerk=(10.0,) * 6)
    assert kinds(smooth(), low) == {"velocity", "velocity_field", "acceleration", "jerk"}


def test_a_step_is_found_in_every_derivative() -> None:
    assert kinds(moved(smooth(), 90, 0, 0.1)) == {"velocity", "acceleration", "jerk"}
    assert kinds(moved(smooth(), 90, 0, 0.003)) == {"jerk"}


def test_numbers_that_are_not_finite_are_found() -> None:
    for field in ("arms", "velocities", "grippers"):
        record = smooth()
        getattr(record, field)[7] = np.nan
        assert kinds(record) == {"not_finite"}


def test_a_joint_beyond_its_range_is_found_unless_it_began_there() -> None:
    record = smooth(way=0.0)
    record.arms[:, 5] = record.measured[5] = SAFETY.joint_upper[5] - 0.5 * SAFETY.joint_margin
    assert kinds(record) == set()
    record.arms[50:, 5] += 0.001
    assert "joint_range" in kinds(record)


def test_an_end_effector_outside_the_box_is_found_unless_it_began_there() -> None:
    x = float(forward(NEUTRAL)[0, 3])
    box = SafetyConfig(workspace_upper=(x + 0.02, 0.3, 0.4))
    assert kinds(smooth(way=0.0), box) == set()
    reaching = smooth(way=0.0)
    reaching.arms[:] += np.linspace(0.0, 0.2, 100)[:, None] * np.array([0.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    assert "workspace" in kinds(reaching, box)
    outside = SafetyConfig(workspace_upper=(x - 0.02, 0.3, 0.4))
    assert kinds(smooth(way=0.0), outside) == set()
    assert "workspace" in kinds(reaching, outside)


def test_gripper_openings_and_speeds_are_looked_at() -> None:
    record = smooth()
    record.grippers[:] = 1.1
    assert kinds(record) == {"gripper_range"}
    record.grippers[:] = np.where(np.arange(100) < 50, 0.0, 1.0)
    assert kinds(record) == {"gripper_speed"}


def test_the_first_command_must_be_where_the_arm_is() -> None:
    record = smooth()
    record.measured[2] += 1e-4
    assert kinds(record) == {"start"}


@pytest.mark.parametrize("jump", [0.5, 10.0, -10.0])
def test_across_a_gap_the_command_must_stay_but_its_speed_need_not(jump: float) -> None:
    record = smooth()
    record.times[20:] += jump
    record.grippers[:] = 0.5
    assert kinds(record) == set()
    assert kinds(moved(record, 20, 1, 0.5)) == {"gap_step"}


def test_two_ticks_at_one_time_are_no_gap_and_no_step() -> None:
    record = smooth()
    doubled = np.sort(np.concatenate([np.arange(100), [30, 60]]))
    twice = CommandRecord(*(part[doubled] for part in vars(record).values() if len(part) == 100), record.measured)
    assert kinds(twice) == set()
