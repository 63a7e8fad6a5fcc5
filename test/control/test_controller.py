"""The controller, driven with an arm that follows its commands with a lag."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dvla_ros.control.acceptance import PathCheck
from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.controller import ChunkController, ControllerConfig, JointPreview
from dvla_ros.control.execution import Command
from dvla_ros.control.kinematics import WidowXKinematics, forward
from dvla_ros.control.motion import MotionState
from dvla_ros.control.rotation import euler_from_matrix
from dvla_ros.control.safety import SafetyConfig
from dvla_ros.control.verdict import ACCEPTED, Verdict, rejected
from dvla_ros.control.widowx import FINGER_OPEN, VELOCITY_LIMIT

START = np.array([0.1, -0.3, 0.6, 0.05, 1.2, 0.0])
TICK = 0.02
FORWARD = np.array([0.01, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5])
EVERYWHERE = SafetyConfig(workspace_lower=(-9.0, -9.0, -9.0), workspace_upper=(9.0, 9.0, 9.0))


class Bench:
    """A controller, an arm that covers `follow` of the remaining way in each tick, and a clock."""

    def __init__(
        self, config: ControllerConfig | None = None, follow: float = 0.6, check_path: PathCheck | None = None
    ) -> None:
        self.controller = ChunkController(config or ControllerConfig(slow_start_s=0.0), WidowXKinematics(), check_path)
        self.joints = START.copy()
        self.tick = 0
        self._follow = follow

    @property
    def now(self) -> float:
        return 1_700_000_000.0 + self.tick * TICK

    def accept(
        self,
        actions: np.ndarray,
        mode: ControlMode = ControlMode.EE_DELTA,
        *,
        stamp: float | None = None,
        sequence: int = 0,
        epoch: int = 0,
        execute_steps: int = 0,
        execute_reserve: bool = False,
        frozen_steps: int = 0,
        observed: float = 0.0,
    ) -> str:
        """Offer a chunk that starts now or at `stamp`; returns why it was rejected, if it was."""
        chunk = ActionChunk(
            stamp=self.now if stamp is None else stamp,
            dt=0.2,
            actions=actions.astype(np.float32),
            mode=mode,
            names=ACTION_NAMES,
            sequence=sequence,
            epoch=epoch,
            execute_steps=execute_steps,
            execute_reserve=execute_reserve,
            frozen_steps=frozen_steps,
            observation_stamp=observed,
        )
        return self.controller.accept(chunk, self.now).reason

    def run(self, seconds: float, *, blind: bool = False) -> list[Command]:
        commands = []
        for _ in range(round(seconds / TICK)):
            command = self.controller.update(self.now, None if blind else self.joints, FINGER_OPEN)
            assert command is not None
            self.joints = self.joints + self._follow * (command.arm - self.joints)
            commands.append(command)
            self.tick += 1
        return commands


def moves(commands: list[Command]) -> bool:
    """Whether two commands of a run differ."""
    return bool(np.ptp(positions(commands), axis=0).any())


def x_of(command: Command) -> float:
    return float(forward(command.arm)[0, 3] - forward(START)[0, 3])


def assert_within_limits(commands: list[Command]) -> None:
    """Speed, acceleration and jerk of commands that follow each other evenly, from rest."""
    steps = np.diff(positions(commands), axis=0, prepend=positions(commands[:1])) / TICK
    assert np.max(np.abs(steps)) <= VELOCITY_LIMIT[0] * (1.0 + 1e-3)
    assert np.max(np.abs(np.diff(steps, axis=0))) / TICK <= 20.0 * (1.0 + 1e-3)
    assert np.max(np.abs(np.diff(steps, 2, axis=0))) / TICK**2 <= 600.0 * (1.0 + 1e-2)  # times are exact to 0.2 us


def assert_smooth(commands: list[Command]) -> None:
    """Acceleration and jerk of commands that follow each other evenly, from any motion."""
    for order, limit in ((2, 20.0), (3, 600.0)):
        assert np.max(np.abs(np.diff(positions(commands), order, axis=0))) / TICK**order <= limit * (1.0 + 1e-2)


def positions(commands: list[Command]) -> np.ndarray:
    return np.array([command.arm for command in commands])


def test_nothing_is_commanded_before_the_first_joint_state() -> None:
    controller = ChunkController(ControllerConfig(), WidowXKinematics())
    assert controller.update(0.0, None, 0.02) is None
    assert controller.update(0.1, np.full(6, np.nan), 0.02) is None
    assert controller.update(0.2, START, float("nan")) is None


def test_first_command_is_where_the_arm_is() -> None:
    (command,) = Bench().run(TICK)
    np.testing.assert_array_equal(command.arm, START)
    np.testing.assert_array_equal(command.arm_velocity, np.zeros(6))
    assert command.gripper == pytest.approx(1.0)


def test_translations_add_up_on_the_commanded_pose() -> None:
    bench = Bench(follow=0.1)  # an arm that lags far behind: the sum must not depend on it
    bench.run(TICK)
    assert bench.accept(np.tile(FORWARD, (8, 1))) == ""
    last = bench.run(1.8)[-1]
    start = forward(START)
    np.testing.assert_allclose(forward(last.arm)[:3, 3], start[:3, 3] + [0.08, 0.0, 0.0], atol=1e-3)
    np.testing.assert_allclose(forward(last.arm)[:3, :3], start[:3, :3], atol=1e-2)
    assert last.gripper == 0.5
    np.testing.assert_array_equal(last.arm_velocity, np.zeros(6))


@pytest.mark.parametrize("mode", list(ControlMode))
def test_every_mode_arrives_at_its_last_row(mode: ControlMode) -> None:
    bench, goal = Bench(), START + 0.04 * np.arange(1, 7) / 6
    steps = np.linspace(START, goal, 5)[1:]
    pose = forward(START)
    if mode is ControlMode.JOINT_POSITION:
        rows, expected = steps, forward(goal)
    elif mode is ControlMode.JOINT_DELTA:
        rows, expected = np.tile((goal - START) / 4, (4, 1)), forward(goal)
    elif mode is ControlMode.EE_POSE:
        rows = np.array([[*forward(q)[:3, 3], *euler_from_matrix(forward(q)[:3, :3])] for q in steps])
        expected = forward(goal)
    else:
        rows, expected = np.tile([0.0, 0.005, -0.005, 0.0, 0.0, 0.0], (4, 1)), pose.copy()
        expected[:3, 3] += [0.0, 0.02, -0.02]
    bench.run(TICK)
    assert bench.accept(np.column_stack([rows, np.full(4, 0.3)]), mode) == ""
    last = bench.run(1.0)[-1]
    np.testing.assert_allclose(forward(last.arm), expected, atol=1e-3)
    assert last.gripper == pytest.approx(0.3)


small_actions = st.lists(
    st.tuples(
        st.lists(st.floats(-0.02, 0.02), min_size=3, max_size=3),
        st.lists(st.floats(-0.1, 0.1), min_size=3, max_size=3),
        st.floats(0.0, 1.0),
    ).map(lambda parts: [*parts[0], *parts[1], parts[2]]),
    min_size=8,
    max_size=8,
).map(np.array)


@settings(max_examples=25)
@given(small_actions, small_actions, st.integers(0, 60))
def test_commands_are_smooth_whenever_chunks_arrive(first: np.ndarray, second: np.ndarray, delay: int) -> None:
    bench = Bench()
    commands = bench.run(TICK)
    bench.accept(first, sequence=0)
    commands += bench.run(delay * TICK)
    bench.accept(second, sequence=1, stamp=bench.now - 0.07)
    commands += bench.run(2.0)
    assert_within_limits(commands)
    steps = np.diff(positions(commands), axis=0)
    velocity = np.array([command.arm_velocity for command in commands])
    # The trapezoid over the reported velocities gives the steps to within jerk dt³ / 12: they belong to one curve.
    np.testing.assert_allclose(steps, TICK * (velocity[:-1] + velocity[1:]) / 2, atol=1.01 * 600.0 * TICK**3 / 12)


def test_even_motion_passes_its_waypoints_without_stopping() -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(np.tile([0.02, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], (8, 1)), ControlMode.JOINT_DELTA)
    commands = bench.run(1.6)
    velocity = np.array([command.arm_velocity[0] for command in commands])
    assert np.all(np.abs(velocity[24:-24] - 0.1) < 0.015)
    for index in range(1, 8):
        assert commands[10 * index].arm[0] == pytest.approx(START[0] + 0.02 * index, abs=1e-4)


def test_when_rows_run_out_the_arm_rests_at_the_last_target() -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(np.tile(FORWARD, (2, 1)))
    commands = bench.run(1.0)
    assert not moves(commands[21:])
    assert x_of(commands[-1]) == pytest.approx(0.02, abs=1e-3)
    statistics = bench.controller.statistics
    assert (statistics.rows, statistics.starved_ticks, statistics.held_ticks) == (2, 30, 0)
    assert bench.controller.state == "starved"


def test_decelerating_arm_passes_the_last_target_and_brakes() -> None:
    bench = Bench(ControllerConfig(starvation="decelerate", slow_start_s=0.0))
    bench.run(TICK)
    bench.accept(np.tile([0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], (3, 1)), ControlMode.JOINT_DELTA)
    commands = bench.run(1.5)
    at_the_end = commands[30]
    assert at_the_end.arm_velocity[0] == pytest.approx(0.5, abs=0.02)
    assert START[0] + 0.301 < commands[-1].arm[0] < START[0] + 0.33
    assert not moves(commands[45:])
    bench.accept(np.array([[0.05, 0, 0, 0, 0, 0, 1.0]]), ControlMode.JOINT_DELTA, sequence=1)
    assert 0.05 < bench.run(0.6)[-1].arm[0] - commands[-1].arm[0] < 0.06


def test_stopping_for_good_is_a_fault_after_its_time() -> None:
    bench = Bench(ControllerConfig(starvation="stop", starvation_timeout_s=0.5, slow_start_s=0.0))
    bench.run(1.0)
    assert bench.controller.state == "following"  # nothing has come yet
    bench.accept(FORWARD[None])
    bench.run(0.2 + 0.5 + TICK)
    assert bench.controller.state == "starved"
    bench.run(2 * TICK)
    assert (bench.controller.state, bench.controller.reason) == ("fault", "starved")
    assert bench.accept(FORWARD[None], sequence=1) == "fault"
    bench.controller.reset_fault()
    assert bench.accept(FORWARD[None], sequence=1) == ""


@pytest.mark.parametrize(("execute_reserve", "rows"), [(False, 5), (True, 8)])
def test_reserve_rows_are_executed_only_when_the_chunk_says_so(execute_reserve: bool, rows: int) -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(np.tile(FORWARD, (8, 1)), execute_steps=5, execute_reserve=execute_reserve)
    bench.run(2.0)
    assert bench.controller.statistics.rows == rows


def test_chunk_with_an_unreachable_row_is_rejected_whole() -> None:
    bench = Bench(ControllerConfig(safety=EVERYWHERE, slow_start_s=0.0))
    bench.run(TICK)
    away = np.tile([0.05, 0, 0, 0, 0, 0, 1.0], (8, 1))
    reasons = []
    for sequence in range(3):
        reasons.append(bench.accept(away, sequence=sequence))
        bench.run(1.6)
    assert reasons[-1] in ("unreachable", "joint_step", "speed")
    assert bench.controller.statistics.rejected == {reason: reasons.count(reason) for reason in set(reasons) - {""}}
    rest = bench.run(TICK)[0]
    assert bench.accept(away[:2] * [-1, 1, 1, 1, 1, 1, 1], sequence=3) == ""
    back = bench.run(0.8)
    assert x_of(back[-1]) == pytest.approx(x_of(rest) - 0.1, abs=2e-3)
    assert_within_limits([rest, *back])


def test_failing_reserve_is_left_out_and_counted() -> None:
    above = replace(SafetyConfig(), workspace_lower=(0.1, -0.3, float(forward(START)[2, 3]) - 0.05))
    bench = Bench(ControllerConfig(safety=above, slow_start_s=0.0))
    bench.run(TICK)
    rows = np.tile([0.02, 0, 0, 0, 0, 0, 1.0], (8, 1))
    rows[:, 0] *= np.array([1, 1, 1, 1, 1, 1, 31, 1])
    assert bench.accept(rows, ControlMode.JOINT_DELTA, execute_steps=5, execute_reserve=True) == "step"
    rows[6, 0], rows[6, 1] = 0.02, 0.5  # lowers the arm out of its box in one row
    assert bench.accept(rows, ControlMode.JOINT_DELTA, execute_steps=7, execute_reserve=True) == "workspace"
    assert bench.accept(rows, ControlMode.JOINT_DELTA, execute_steps=5, execute_reserve=True) == ""
    last = bench.run(2.0)[-1]
    assert (bench.controller.statistics.truncated, bench.controller.statistics.rows) == (1, 6)
    assert last.arm[0] == pytest.approx(START[0] + 0.12)


def test_without_joint_states_the_arm_brakes_and_the_next_chunk_moves_it_again() -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(np.tile([0.1, 0, 0, 0, 0, 0, 1.0], (8, 1)), ControlMode.JOINT_DELTA)
    moving = bench.run(0.5)
    blind = bench.run(0.4, blind=True)
    assert_within_limits(moving + blind)
    assert not moves(blind[8:])
    assert (bench.controller.state, bench.controller.reason) == ("holding", "no_measurement")
    assert bench.accept(FORWARD[None], sequence=1) == "no_measurement"
    assert not moves(bench.run(0.5))
    assert bench.controller.state == "following"
    assert bench.controller.statistics.dropped == 1
    assert bench.accept(np.array([[0.1, 0, 0, 0, 0, 0, 1.0]]), ControlMode.JOINT_DELTA, sequence=1) == ""
    assert bench.run(0.4)[-1].arm[0] == pytest.approx(blind[-1].arm[0] + 0.1)


def test_chunk_whose_last_row_is_mostly_over_is_past() -> None:
    bench = Bench()
    bench.run(TICK)
    row = np.array([[0.1, 0, 0, 0, 0, 0, 1.0]])
    assert bench.accept(row, ControlMode.JOINT_DELTA, stamp=bench.now - 0.11) == "past"
    assert bench.accept(row, ControlMode.JOINT_DELTA, stamp=bench.now - 0.09) == ""
    commands = bench.run(0.6)
    assert_within_limits(commands)
    assert commands[-1].arm[0] == pytest.approx(START[0] + 0.1)


def test_rejected_chunk_moves_nothing_and_is_counted_with_its_reason() -> None:
    bench = Bench()
    bench.run(TICK)
    assert bench.accept(np.full((8, 7), np.nan)) == "not_finite"
    assert np.all(positions(bench.run(0.5)) == START)
    statistics = bench.controller.statistics
    assert (statistics.accepted, statistics.rejected) == (0, {"not_finite": 1})
    assert "nan" in statistics.last_rejection
    assert bench.accept(np.tile(FORWARD, (8, 1))) == ""  # the rejected one did not use up its sequence
    assert (statistics.accepted, statistics.last_sequence) == (1, 0)


def test_old_chunk_is_executed_until_the_new_one_covers_it() -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(np.tile(FORWARD, (8, 1)), sequence=0)
    bench.accept(np.tile(FORWARD * [-1, 1, 1, 1, 1, 1, 1], (8, 1)), sequence=1, stamp=bench.now + 0.8)
    commands = bench.run(2.6)
    x = np.array([x_of(command) for command in commands])
    assert np.max(x) == pytest.approx(0.04, abs=1e-3)
    assert np.argmax(x) == pytest.approx(40, abs=2)
    assert x[-1] == pytest.approx(-0.04, abs=1e-3)


def test_frozen_rows_do_not_move_the_seam() -> None:
    plain, seamed = Bench(), Bench()
    rows = np.tile([0.02, 0.01, 0.0, 0.0, 0.0, 0.05, 0.5], (8, 1))
    for bench in (plain, seamed):
        bench.run(TICK)
        start = bench.now
        bench.accept(rows, execute_steps=4, execute_reserve=True)
    plain_commands, before = plain.run(1.2), seamed.run(0.7)
    chunk = np.tile([0.0, -0.02, 0.0, 0.0, 0.0, 0.0, 0.5], (8, 1))
    chunk[:2] = rows[:2] + 0.004  # the frozen rows went through a tokenizer
    assert seamed.accept(chunk, sequence=1, stamp=start + 0.6, frozen_steps=3, execute_reserve=True) == ""
    merged = seamed.controller._timeline.plan.rows
    old = {row.key: row for row in plain.controller._timeline.plan.rows}
    assert [row.key[1:] for row in merged if row.due < start + 1.5] == [
        (0, 2),
        (0, 3),
        (0, 4),
        *[(1, i) for i in (2, 3, 4)],
    ]
    for row in merged[:3]:
        np.testing.assert_array_equal(row.target.joints, old[row.key].target.joints)
    after = before + seamed.run(1.2)
    np.testing.assert_array_equal(positions(after)[:40], positions(plain_commands)[:40])  # the change is at 50
    np.testing.assert_allclose(after[50].arm, plain_commands[50].arm, atol=1e-6)
    assert_within_limits(after)
    assert seamed.controller.statistics.seams.count == 1
    assert seamed.controller.statistics.seams.max_position == 0.0


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(1, 70), st.integers(0, 7), st.integers(1, 8))
def test_chunk_that_repeats_what_is_executed_moves_no_command_before_motion_has_to_bend_or_the_next_row_begins(
    seed: int, delay: int, shift: int, frozen: int
) -> None:
    first, second = np.random.default_rng(seed).uniform(-0.015, 0.015, (2, 8, 7)) + FORWARD
    plain, seamed = Bench(), Bench()
    for bench in (plain, seamed):
        bench.run(TICK)
        start = bench.now
        assert bench.accept(first, execute_reserve=True) == ""
        bench.run(delay * TICK)
    repeated = first[shift : shift + frozen]
    chunk = np.concatenate([repeated + 0.001, second])
    reason = seamed.accept(chunk, sequence=1, stamp=start + 0.2 * shift, frozen_steps=frozen, execute_reserve=True)
    assume(reason not in ("unreachable", "workspace"))  # a random way may lead where the arm cannot go
    assert reason == ""
    change, next_row = 10 * (shift + len(repeated)) - delay, -delay % 10
    same = max(min(next_row, change - round(0.25 / TICK)), 0)
    expected, commands = plain.run(2.4), seamed.run(2.4)
    np.testing.assert_array_equal(positions(commands)[:same], positions(expected)[:same])
    assert_smooth(commands)


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.integers(1, 90), st.integers(0, 7))
def test_chunk_that_only_repeats_what_is_executed_changes_no_command(seed: int, delay: int, shift: int) -> None:
    rows = np.random.default_rng(seed).uniform(-0.015, 0.015, (8, 7)) + FORWARD
    plain, seamed = Bench(), Bench()
    for bench in (plain, seamed):
        bench.run(TICK)
        start = bench.now
        assert bench.accept(rows, execute_reserve=True) == ""
        bench.run(delay * TICK)
    seamed.accept(rows[shift:] + 0.001, sequence=1, stamp=start + 0.2 * shift, frozen_steps=8, execute_reserve=True)
    np.testing.assert_array_equal(positions(seamed.run(2.0)), positions(plain.run(2.0)))


def test_refused_chunks_are_counted_by_reason() -> None:
    bench = Bench()
    bench.run(TICK)
    rows = np.tile(FORWARD, (8, 1))
    bench.controller.reset(2)
    bench.run(TICK)
    offered = [
        bench.accept(rows, sequence=5, epoch=2),
        bench.accept(rows, sequence=5, epoch=2),
        bench.accept(rows, sequence=4, epoch=2),
        bench.accept(rows, sequence=6, epoch=1),
        bench.accept(rows, sequence=6, epoch=2, stamp=bench.now - 1.6),
        bench.accept(rows, sequence=6, epoch=2, stamp=bench.now + 2.1),
        bench.accept(rows, sequence=6, epoch=2, observed=bench.now - 1.0),
    ]
    expected = ["duplicate", "out_of_order", "old_epoch", "past", "far_future", "before_reset"]
    assert offered == ["", *expected]
    assert bench.controller.statistics.rejected == dict.fromkeys(expected, 1)


def test_row_that_is_over_is_checked_too() -> None:
    bench = Bench()
    bench.run(TICK)
    rows = np.tile([*START, 1.0], (8, 1))
    rows[1, 0] = 1e30
    assert bench.accept(rows, ControlMode.JOINT_POSITION, stamp=bench.now - 0.4) == "step"


def least_step_at_a_late_chunk(align_fade_s: float) -> float:
    """The smallest step (rad per tick) of a joint after a chunk that was inferred from an arm that lagged behind."""
    bench = Bench(ControllerConfig(align_fade_s=align_fade_s, slow_start_s=0.0))
    bench.run(TICK)
    start, line = bench.now, START + np.outer(np.arange(1, 9), np.full(6, 0.02))
    bench.accept(np.column_stack([line, np.ones(8)]), ControlMode.JOINT_POSITION)
    before = bench.run(0.6)
    yanked = np.column_stack([line - 0.07, np.ones(8)])
    assert bench.accept(yanked, ControlMode.JOINT_POSITION, sequence=1, stamp=start) == ""
    after = bench.run(1.4)
    assert after[-1].arm[0] == pytest.approx(yanked[-1, 0], abs=1e-6)
    assert bench.controller.statistics.seams.max_position > 0.01
    return float(np.min(np.diff(positions(before[-1:] + after), axis=0)[:, 0]))


def test_offset_of_an_absolute_chunk_fades_out() -> None:
    assert least_step_at_a_late_chunk(0.0) < -0.008, "yanked back"
    assert -0.005 < least_step_at_a_late_chunk(0.4) < 0.0


def test_hold_brakes_refuses_chunks_and_release_lets_them_move() -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(np.tile([0.1, 0, 0, 0, 0, 0, 0.2], (8, 1)), ControlMode.JOINT_DELTA, sequence=0)
    moving = bench.run(0.5)
    bench.controller.hold("estop", "The button was pressed.")
    braking = bench.run(0.5)
    assert_within_limits(moving + braking)
    assert not moves(braking[8:])
    assert bench.controller.statistics.held == {"estop": 25}
    assert (bench.controller.state, bench.controller.reason) == ("holding", "estop")
    assert "button" in bench.controller.detail
    assert bench.accept(FORWARD[None], sequence=1) == "held"
    bench.controller.release()
    assert not moves(bench.run(0.3))
    assert bench.controller.state == "following"
    assert bench.accept(FORWARD[None], sequence=1) == ""
    assert x_of(bench.run(0.4)[-1]) == pytest.approx(x_of(braking[-1]) + 0.01, abs=1e-3)


def test_first_fault_is_kept_until_it_is_reset() -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(np.tile(FORWARD, (8, 1)))
    bench.run(0.3)
    bench.controller.fault("deadman_lost", "No heartbeat.")
    bench.controller.fault("estop", "Pressed.")
    bench.controller.release()
    bench.run(0.3)
    assert (bench.controller.state, bench.controller.reason) == ("fault", "deadman_lost")
    assert bench.controller.statistics.faults == {"deadman_lost": 1}
    assert bench.accept(FORWARD[None], sequence=1) == "fault"
    bench.controller.reset(1)
    bench.run(TICK)
    assert bench.controller.state == "fault"
    bench.controller.reset_fault()
    assert bench.accept(FORWARD[None], epoch=1) == ""


def test_reset_starts_from_the_measured_joints_and_refuses_older_epochs_and_observations() -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(np.tile(FORWARD, (8, 1)), sequence=4)
    bench.run(0.5)
    bench.controller.reset(1)
    assert bench.accept(FORWARD[None], epoch=1) == "no_measurement"
    bench.joints = START + 0.1
    np.testing.assert_array_equal(bench.run(TICK)[0].arm, START + 0.1)
    assert bench.accept(np.tile(FORWARD, (8, 1)), sequence=5) == "old_epoch"
    assert bench.accept(np.tile(FORWARD, (8, 1)), epoch=1, observed=bench.now - 0.5) == "before_reset"
    assert bench.accept(np.tile(FORWARD, (8, 1)), epoch=1, observed=bench.now - 0.05) == ""
    assert bench.controller.epoch == 1
    assert bench.controller.statistics.dropped == 1


def test_plan_made_before_a_reset_of_the_same_epoch_is_not_executed() -> None:
    bench = Bench()
    bench.run(TICK)

    def reset_meanwhile(_preview: JointPreview) -> Verdict:
        bench.controller.reset(0)
        bench.joints = START + 0.1
        bench.run(TICK)
        return ACCEPTED

    bench.controller._acceptance._check_path = reset_meanwhile
    bench.accept(np.tile(FORWARD, (8, 1)))
    assert not moves(bench.run(1.0))


def test_pause_between_updates_ends_the_motion_where_it_was() -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(np.tile([0.1, 0, 0, 0, 0, 0, 1.0], (8, 1)), ControlMode.JOINT_DELTA)
    moving = bench.run(0.3)
    bench.tick += 30
    after = bench.run(0.6)
    assert np.all(positions(after) == moving[-1].arm)
    assert (bench.controller.state, bench.controller.reason) == ("holding", "tick_gap")
    assert (bench.controller.statistics.tick_gaps, bench.controller.statistics.dropped) == (1, 1)
    assert bench.accept(FORWARD[None], sequence=1) == ""
    assert moves(bench.run(0.3))
    assert bench.controller.state == "following" or bench.controller.state == "starved"


def test_pause_between_updates_does_not_hold_an_arm_that_rests() -> None:
    bench = Bench()
    bench.run(0.2)
    bench.tick += 30
    assert not moves(bench.run(0.2))
    assert (bench.controller.state, bench.controller.statistics.tick_gaps) == ("following", 1)
    bench.accept(FORWARD[None])
    bench.run(3.0)
    bench.tick += 30
    assert not moves(bench.run(0.2))
    assert (bench.controller.state, bench.controller.statistics.tick_gaps) == ("starved", 2)


@pytest.mark.parametrize("jump_s", [-10.0, 10.0])
def test_after_a_clock_jump_the_arm_holds_and_the_order_of_chunks_counts_anew(jump_s: float) -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(np.tile([0.1, 0, 0, 0, 0, 0, 1.0], (8, 1)), ControlMode.JOINT_DELTA, sequence=7)
    moving, old_stamp = bench.run(0.3), bench.now
    bench.tick += round(jump_s / TICK)
    after = bench.run(0.6)
    assert np.all(positions(after) == moving[-1].arm)
    assert bench.controller.reason == "clock_jump"
    late = bench.accept(np.tile(FORWARD, (8, 1)), sequence=8, stamp=old_stamp)
    assert late == ("past" if jump_s > 0 else "far_future")
    assert bench.accept(np.tile(FORWARD, (8, 1)), sequence=2) == ""
    assert moves(bench.run(0.5))
    assert bench.controller.state == "following"


def test_chunk_before_the_first_update_is_refused() -> None:
    bench = Bench()
    assert bench.accept(FORWARD[None]) == "no_measurement"
    assert bench.controller.state == "inactive"
    bench.run(TICK)
    assert bench.accept(FORWARD[None]) == ""


def test_arm_that_was_moved_away_from_its_command_gets_no_chunk() -> None:
    bench = Bench(follow=0.0)
    bench.run(TICK)
    bench.joints = START + np.array([0.6, 0, 0, 0, 0, 0])
    bench.run(TICK)
    assert bench.accept(np.tile(FORWARD, (8, 1))) == "start_jump"


def test_command_goes_to_an_arm_that_cannot_follow_and_chunks_are_accepted_again() -> None:
    bench = Bench(follow=0.0)
    bench.run(TICK)
    bench.joints = START + np.array([0, 0, 0, 0.6, 0, 0])
    before = bench.run(TICK)
    assert bench.accept(np.tile(FORWARD, (8, 1))) == "start_jump"
    after = bench.run(2.5)
    assert_within_limits(before + after)
    np.testing.assert_allclose(after[-1].arm, bench.joints, atol=1e-6)
    assert bench.controller.statistics.reanchored == 1
    assert bench.accept(np.tile(FORWARD, (8, 1)), sequence=1) == ""


def test_small_tracking_error_moves_no_command() -> None:
    bench = Bench(follow=0.0)
    bench.run(TICK)
    bench.accept(FORWARD[None])
    bench.run(0.3)
    bench.joints = bench.joints + np.array([0, 0, 0, 0.2, 0, 0])
    assert not moves(bench.run(2.0)[5:])
    assert bench.controller.statistics.reanchored == 0


def test_speed_is_low_at_first_and_after_each_hold() -> None:
    fast = np.tile([0.3, 0, 0, 0, 0, 0, 1.0], (3, 1))
    bench = Bench(ControllerConfig(slow_start_s=2.0, slow_start_scale=0.2, max_lag=2.0))
    for sequence in range(2):
        bench.run(0.2)
        assert (
            bench.accept(
                fast * (-1.0) ** sequence * [1, 1, 1, 1, 1, 1, 0] + [0, 0, 0, 0, 0, 0, 1],
                ControlMode.JOINT_DELTA,
                sequence=sequence,
            )
            == ""
        )
        speeds = np.abs([command.arm_velocity[0] for command in bench.run(0.4)])
        assert np.max(speeds) <= (0.2 + 0.8 * 0.4 / 2.0) * VELOCITY_LIMIT[0] + 1e-6
        bench.run(3.0)
        bench.controller.hold()
        bench.run(0.1)
        bench.controller.release()
    assert bench.controller.statistics.limited_ticks > 10


def test_rows_that_the_arm_cannot_keep_up_with_are_dropped() -> None:
    bench = Bench(ControllerConfig(slow_start_s=10.0, slow_start_scale=0.1))
    bench.run(TICK)
    assert bench.accept(np.tile([0, 0, 0, 0, 0, 0.3, 1.0], (8, 1)), ControlMode.JOINT_DELTA) == ""
    commands = bench.run(1.6)
    statistics = bench.controller.statistics
    assert (statistics.lagging, statistics.dropped) == (1, 1)
    assert statistics.rows < 4
    assert not moves(commands[-10:])
    rest = commands[-1].arm[5]
    assert bench.accept(np.array([[0, 0, 0, 0, 0, 0.02, 1.0]]), ControlMode.JOINT_DELTA, sequence=1) == ""
    assert bench.run(0.6)[-1].arm[5] == pytest.approx(rest + 0.02)


def test_gripper_moves_no_faster_than_it_can() -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(np.array([[0, 0, 0, 0, 0, 0, 0.0]]))
    grippers = np.array([command.gripper for command in bench.run(0.4)])
    assert np.max(np.abs(np.diff(grippers, prepend=1.0))) == pytest.approx(TICK / 0.2, rel=1e-4)
    assert grippers[-1] == 0.0


def test_path_check_sees_the_way_and_may_refuse_it() -> None:
    seen: list[JointPreview] = []

    def refuse(preview: JointPreview) -> Verdict:
        seen.append(preview)
        return rejected("collision", "The gripper would touch the table.")

    bench = Bench(check_path=refuse)
    bench.run(TICK)
    assert bench.accept(np.full((8, 7), np.nan)) == "not_finite"
    assert seen == []
    assert bench.accept(np.tile(FORWARD, (8, 1))) == "collision"
    assert not moves(bench.run(0.5))
    end = forward(seen[0].positions[-1])
    assert end[0, 3] == pytest.approx(forward(START)[0, 3] + 0.08, abs=1e-3)


def test_hold_during_the_path_check_is_not_delayed_by_it() -> None:
    bench = Bench()
    bench.run(TICK)

    def hold_meanwhile(_preview: JointPreview) -> Verdict:
        bench.controller.hold("estop", "Pressed.")
        return ACCEPTED

    bench.controller._acceptance._check_path = hold_meanwhile
    assert bench.accept(np.tile(FORWARD, (8, 1))) == "held"
    assert not moves(bench.run(0.5))


def test_preview_is_what_will_be_commanded_and_ends_at_rest() -> None:
    bench = Bench()
    empty = bench.controller.preview(bench.now, 1.0)
    assert len(empty.times) == 0
    bench.run(TICK)
    resting = bench.controller.preview(bench.now, 1.0)
    bench.accept(np.tile(FORWARD, (4, 1)))
    bench.run(TICK)
    preview = bench.controller.preview(bench.now, 2.0)
    assert preview.version != resting.version
    assert np.all(np.diff(preview.times) > 0.0) and np.max(np.diff(preview.times)) <= TICK + 1e-6
    assert not preview.velocities[-1].any()
    commands, times = positions(bench.run(0.8)), bench.now - 0.8 + TICK * np.arange(40)
    for joint in range(6):
        expected = np.interp(times - times[0], preview.times - times[0], preview.positions[:, joint])
        np.testing.assert_allclose(commands[:, joint], expected, atol=2e-4)
    assert bench.controller.preview(bench.now - 0.7, 0.2).times[-1] == pytest.approx(bench.now - 0.5)


def test_command_that_must_not_be_sent_becomes_a_fault_and_the_arm_brakes() -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(np.tile([0.1, 0, 0, 0, 0, 0, 1.0], (8, 1)), ControlMode.JOINT_DELTA)
    moving = bench.run(0.5)
    execution = bench.controller._execution
    assert execution is not None
    broken, good = execution.motion.sample, execution.motion

    class Jumping:
        def __getattr__(self, name: str) -> object:
            return getattr(good, name)

        def sample(self, now: float) -> MotionState:
            state = broken(now)
            jump = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0 if self.braked else 0.3])
            return MotionState(state.position + jump, state.velocity, state.acceleration)

        braked = False

        def brake(self, start: float) -> Verdict:
            self.braked = True
            return good.brake(start)

    execution.motion = Jumping()  # type: ignore[assignment]
    after = bench.run(0.5)
    assert_within_limits(moving + after)
    assert (bench.controller.state, bench.controller.reason) == ("fault", "tick_check")
    assert "joint_velocity" in bench.controller.detail
    assert not moves(after[10:])


def test_chunks_from_another_thread_arrive_while_commands_run() -> None:
    bench = Bench()
    bench.run(TICK)
    rows = np.tile(FORWARD * [0.1, 1, 1, 1, 1, 1, 1], (8, 1))
    reasons: list[str] = []
    sender = threading.Thread(
        target=lambda: reasons.extend(bench.accept(rows, sequence=sequence) for sequence in range(50))
    )
    sender.start()
    commands = bench.run(2.0)
    sender.join()
    commands += bench.run(2.0)
    assert set(reasons) <= {"", "past"}
    assert bench.controller.statistics.accepted == reasons.count("") > 0
    assert_within_limits(commands)
