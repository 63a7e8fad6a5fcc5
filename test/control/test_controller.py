"""The controller, driven with an arm that follows its commands with a lag."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.controller import ChunkController, ControllerConfig
from dvla_ros.control.execution import Command
from dvla_ros.control.kinematics import WidowXKinematics, forward
from dvla_ros.control.rotation import euler_from_matrix
from dvla_ros.control.safety import SafetyConfig
from dvla_ros.control.widowx import FINGER_OPEN, VELOCITY_LIMIT
from dvla_ros.errors import ConfigurationError

START = np.array([0.1, -0.3, 0.6, 0.05, 1.2, 0.0])
TICK = 0.02
FORWARD = np.array([0.01, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5])
EVERYWHERE = SafetyConfig(workspace_lower=(-9.0, -9.0, -9.0), workspace_upper=(9.0, 9.0, 9.0))


class Bench:
    """A controller, an arm that covers `follow` of the remaining way in each tick, and a clock."""

    def __init__(self, config: ControllerConfig | None = None, follow: float = 0.6) -> None:
        self.controller = ChunkController(config or ControllerConfig(), WidowXKinematics())
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
    ) -> str:
        """Offer a chunk that starts now or at `stamp`; returns why it was rejected, if it was."""
        start, rows = self.now if stamp is None else stamp, actions.astype(np.float32)
        chunk = ActionChunk(start, 0.2, rows, mode, ACTION_NAMES, sequence, epoch, execute_steps)
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
    steps = np.diff(positions(commands), axis=0)
    velocity = np.array([command.arm_velocity for command in commands])
    assert np.all(np.abs(steps) <= VELOCITY_LIMIT * TICK + 1e-6)
    # The trapezoid over the reported velocities must give the steps: both belong to one smooth curve.
    if not bench.controller.statistics.held:
        np.testing.assert_allclose(steps, TICK * (velocity[:-1] + velocity[1:]) / 2, atol=0.02)


def test_even_motion_passes_its_waypoints_without_stopping() -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(np.tile([0.02, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], (8, 1)), ControlMode.JOINT_DELTA)
    velocity = np.array([command.arm_velocity[0] for command in bench.run(1.6)])
    assert np.all(velocity[10:-11] == pytest.approx(0.1, abs=1e-6))


def test_when_rows_run_out_the_segment_is_finished_and_the_end_held() -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(np.tile(FORWARD, (2, 1)))
    commands = bench.run(1.0)
    tail = positions(commands[21:])
    assert np.all(tail == tail[0])
    np.testing.assert_allclose(forward(tail[0])[0, 3], forward(START)[0, 3] + 0.02, atol=1e-3)
    statistics = bench.controller.statistics
    assert (statistics.rows, statistics.starved_ticks, statistics.held_ticks) == (2, 30, 0)


@pytest.mark.parametrize(("execute_reserve", "rows"), [(False, 5), (True, 8)])
def test_reserve_rows_are_executed_only_when_configured(execute_reserve: bool, rows: int) -> None:
    bench = Bench(ControllerConfig(execute_reserve=execute_reserve))
    bench.run(TICK)
    bench.accept(np.tile(FORWARD, (8, 1)), execute_steps=5)
    bench.run(2.0)
    assert bench.controller.statistics.rows == rows


def test_unreachable_row_is_held_and_the_way_back_is_open() -> None:
    bench = Bench(ControllerConfig(safety=EVERYWHERE))
    bench.run(TICK)
    for sequence in range(3):
        bench.accept(np.tile([0.05, 0, 0, 0, 0, 0, 1.0], (8, 1)), sequence=sequence)
        commands = bench.run(1.6)
    statistics = bench.controller.statistics
    assert statistics.held["unreachable"] > 0 and "cannot reach" in statistics.last_fault
    end = positions(commands[-20:])
    assert np.all(end == end[0]) and not commands[-1].arm_velocity.any()
    bench.accept(np.tile([-0.05, 0, 0, 0, 0, 0, 1.0], (2, 1)), sequence=3)
    back = bench.run(0.6)
    assert forward(back[-1].arm)[0, 3] == pytest.approx(forward(end[0])[0, 3] - 0.1, abs=2e-3)
    assert np.max(np.abs(np.diff(positions(commands + back), axis=0))) <= VELOCITY_LIMIT[0] * TICK + 1e-6


def test_missing_joint_state_holds_and_the_motion_is_completed_afterwards() -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(np.tile(FORWARD, (2, 1)))
    moving = bench.run(0.1)
    blind = bench.run(0.1, blind=True)
    assert np.all(positions(blind) == moving[-1].arm)
    assert not any(command.arm_velocity.any() for command in blind)
    assert bench.controller.statistics.held == {"no_measurement": 5}
    after = bench.run(0.6)
    assert np.max(np.abs(np.diff(positions(blind + after), axis=0))) <= VELOCITY_LIMIT[0] * TICK + 1e-6
    assert forward(after[-1].arm)[0, 3] == pytest.approx(forward(START)[0, 3] + 0.02, abs=1e-3)


def test_motion_interrupted_in_its_last_row_is_completed_after_the_row() -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(FORWARD[None])
    bench.run(0.1)
    bench.run(0.4, blind=True)
    after = bench.run(0.3)
    assert forward(after[-1].arm)[0, 3] == pytest.approx(forward(START)[0, 3] + 0.01, abs=1e-3)
    assert not bench.controller.statistics.held["unreachable"]


def test_row_that_is_almost_over_does_not_exceed_the_speed_limit() -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(np.array([[0.5, 0, 0, 0, 0, 0, 1.0]]), ControlMode.JOINT_DELTA, stamp=bench.now - 0.199)
    commands = bench.run(0.6)
    assert np.max(np.abs(np.diff(positions(commands), axis=0))) <= VELOCITY_LIMIT[0] * TICK + 1e-6
    assert commands[-1].arm[0] == pytest.approx(START[0] + 0.5)


def test_rejected_chunk_moves_nothing_and_is_counted_with_its_reason() -> None:
    bench = Bench()
    bench.run(TICK)
    assert bench.accept(np.full((8, 7), np.nan)) == "not_finite"
    assert np.all(positions(bench.run(0.5)) == START)
    statistics = bench.controller.statistics
    assert (statistics.accepted, statistics.rejected) == (0, {"not_finite": 1})
    assert "nan" in statistics.last_rejection
    assert bench.accept(np.tile(FORWARD, (8, 1))) == ""  # the rejected one did not use up its sequence


def test_old_chunk_is_executed_until_the_new_one_covers_it() -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(np.tile(FORWARD, (8, 1)), sequence=0)
    bench.accept(np.tile(FORWARD * [-1, 1, 1, 1, 1, 1, 1], (8, 1)), sequence=1, stamp=bench.now + 0.8)
    commands = bench.run(2.6)
    x = np.array([forward(command.arm)[0, 3] for command in commands]) - forward(START)[0, 3]
    assert np.max(x) == pytest.approx(0.04, abs=1e-3)
    assert np.argmax(x) == pytest.approx(40, abs=2)
    assert x[-1] == pytest.approx(-0.04, abs=1e-3)


def test_hold_stops_at_the_last_command_and_lets_later_chunks_move() -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(np.tile(FORWARD, (8, 1)), sequence=0)
    moving = bench.run(0.5)
    bench.controller.hold()
    assert np.all(positions(bench.run(0.5)) == moving[-1].arm)
    assert bench.controller.statistics.held == {"requested": 25}
    assert bench.accept(FORWARD[None], sequence=1) == ""
    after = bench.run(0.4)[-1].arm
    assert forward(after)[0, 3] == pytest.approx(forward(moving[-1].arm)[0, 3] + 0.01, abs=1e-3)


def test_reset_starts_from_the_measured_joints_and_refuses_older_epochs() -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(np.tile(FORWARD, (8, 1)), sequence=4)
    bench.run(0.5)
    bench.controller.reset(1)
    bench.joints = START + 0.3
    np.testing.assert_array_equal(bench.run(TICK)[0].arm, START + 0.3)
    assert bench.accept(np.tile(FORWARD, (8, 1)), sequence=5) == "old_epoch"
    assert bench.accept(np.tile(FORWARD, (8, 1)), sequence=0, epoch=1) == ""
    assert bench.controller.epoch == 1


def test_pause_between_updates_does_not_become_a_jump() -> None:
    bench = Bench()
    bench.run(TICK)
    bench.accept(np.tile([0.1, 0, 0, 0, 0, 0, 1.0], (8, 1)), ControlMode.JOINT_DELTA)
    moving = bench.run(0.3)
    bench.tick += 30
    after = bench.run(0.6)
    assert abs(after[0].arm[0] - moving[-1].arm[0]) <= 1e-6
    assert bench.controller.statistics.tick_gaps == 1
    assert after[-1].arm[0] > moving[-1].arm[0]


def test_chunk_before_the_first_update_is_executed_from_the_measured_joints() -> None:
    bench = Bench()
    assert bench.accept(FORWARD[None]) == ""
    last = bench.run(0.4)[-1]
    assert forward(last.arm)[0, 3] == pytest.approx(forward(START)[0, 3] + 0.01, abs=1e-3)


def test_arm_that_was_moved_away_from_its_command_gets_no_chunk() -> None:
    bench = Bench(follow=0.0)
    bench.run(TICK)
    bench.joints = START + np.array([0.6, 0, 0, 0, 0, 0])
    bench.run(TICK)
    assert bench.accept(np.tile(FORWARD, (8, 1))) == "start_jump"


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
    assert set(reasons) == {""}
    assert bench.controller.statistics.accepted == 50
    assert np.max(np.abs(np.diff(positions(commands), axis=0))) <= VELOCITY_LIMIT[0] * TICK + 1e-6


def test_times_that_are_not_positive_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="max_lead_s must be positive"):
        ControllerConfig(max_lead_s=0.0)
