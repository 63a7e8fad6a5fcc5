"""What was commanded comes back as actions, whatever it was recorded as; real bags."""

import bags
import numpy as np
import pytest

from dvla_ros.control.action_space import pose_from_action
from dvla_ros.control.bridge import apply_delta
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.kinematics import forward
from dvla_ros.control.pose_interpolation import quaternion_from_matrix
from dvla_ros.control.widowx import ARM_JOINTS, NEUTRAL, finger_from_gripper
from dvla_ros.errors import RecordingError
from dvla_ros.recordings.bag import Bag
from dvla_ros.recordings.recorded_actions import action_tracks, best_track

TOPICS = bags.TOPICS
DT, START = 0.2, 1_700_000_000.4
OPEN_UNTIL = 1.0


def rows(count, seed=0):
    """Bridge increments, well within their limits."""
    draw = np.random.default_rng(seed).uniform(-1.0, 1.0, (count, 7))
    return (draw * [0.01, 0.01, 0.01, 0.03, 0.03, 0.03, 0.0] + [0, 0, 0, 0, 0, 0, 1.0]).astype(np.float32)


def joints_at(time):
    """A slow wave of all joints around the neutral pose."""
    phase = time - START
    return NEUTRAL + 0.2 * np.sin(0.7 * phase + np.arange(6)) - 0.2 * np.sin(np.arange(6))


def opening_at(time):
    return 1.0 if time - START < OPEN_UNTIL else 0.0


def states(seconds=3.0, hz=50.0, since=-0.5):
    for tick in range(round(seconds * hz)):
        time = START + since + tick / hz
        yield TOPICS.joint_states, time + 0.003, bags.joint_states(time, joints_at(time))


def tracks(tmp_path, messages, topics=TOPICS):
    ordered = sorted(messages, key=lambda message: message[1])
    with Bag(bags.write_bag(tmp_path / "bag", ordered)) as bag:
        return action_tracks(bag, topics), list(bag.warnings)


def bridge_rows(horizon, start=START):
    """The increments along the wave, by the definition of `apply_delta`."""
    pose, result = forward(joints_at(start)), []
    for index in range(horizon):
        due = start + index * DT
        result.append((pose, forward(joints_at(due)), forward(joints_at(due + DT)), opening_at(due + 0.75 * DT)))
        pose = result[-1][2]
    return result


def assert_leads_along_the_wave(actions, tolerance):
    for action, (before, measured, after, opening) in zip(actions, bridge_rows(len(actions)), strict=True):
        reached, gripper = apply_delta(before, measured, action)
        np.testing.assert_allclose(reached, after, atol=tolerance)
        assert gripper == pytest.approx(opening)


def test_rows_of_chunks_come_back_bit_for_bit_on_their_own_grid(tmp_path):
    first, second = rows(8, 0), rows(8, 1)
    chunks = [
        (TOPICS.action_chunk, START, bags.chunk(START, first, 1, execute_reserve=True)),
        (TOPICS.action_chunk, START + 0.8, bags.chunk(START + 0.8, second, 2, execute_reserve=True)),
    ]
    found, _ = tracks(tmp_path, chunks)
    actions = found["chunks"].rows(START, DT, 12, ControlMode.EE_DELTA)
    np.testing.assert_array_equal(actions.astype(np.float32), np.concatenate([first[:4], second]))
    assert "ActionChunk EE_DELTA of /policy_node/action_chunk" in found["chunks"].convention
    assert np.isnan(found["chunks"].rows(START + 12 * DT, DT, 2, ControlMode.EE_DELTA)).all()


def test_a_chunk_that_was_refused_commanded_nothing(tmp_path):
    first, second = rows(8, 0), rows(8, 1)
    refusal = bags.make(
        "dvla_ros/msg/ExecutionStatus",
        header=bags.header(START + 0.81),
        state="following",
        reason="out_of_reach",
        message="no",
        epoch=1,
        sequence=2,
        accepted=False,
        dropped=0,
        delay=0.0,
    )
    found, _ = tracks(
        tmp_path,
        [
            (TOPICS.action_chunk, START, bags.chunk(START, first, 1)),
            (TOPICS.action_chunk, START + 0.8, bags.chunk(START + 0.8, second, 2)),
            (TOPICS.execution_status, START + 0.82, refusal),
        ],
    )
    actions = found["chunks"].rows(START, DT, 8, ControlMode.EE_DELTA)
    np.testing.assert_array_equal(actions.astype(np.float32), first)


def test_rows_that_a_fault_dropped_were_not_commanded(tmp_path):
    def status(time, dropped):
        fields = {"state": "fault", "reason": "estop", "message": "", "epoch": 1, "sequence": 1, "accepted": True}
        return bags.make("dvla_ros/msg/ExecutionStatus", header=bags.header(time), dropped=dropped, delay=0.0, **fields)

    found, _ = tracks(
        tmp_path,
        [
            (TOPICS.action_chunk, START, bags.chunk(START, rows(8), 1)),
            (TOPICS.execution_status, START + 0.1, status(START + 0.1, 0)),
            (TOPICS.execution_status, START + 0.6, status(START + 0.6, 1)),
        ],
    )
    known = np.isfinite(found["chunks"].rows(START, DT, 8, ControlMode.EE_DELTA)).all(axis=1)
    assert known.tolist() == [True] * 3 + [False] * 5


def test_joint_targets_become_bridge_increments(tmp_path):
    def commands():
        for tick in range(150):
            time = START - 0.2 + tick * 0.02
            arm = bags.trajectory(0.0, joints_at(time + 0.02), ARM_JOINTS, after=0.02)
            finger = bags.trajectory(0.0, [finger_from_gripper(opening_at(time))], ["left_finger"])
            yield TOPICS.arm_trajectory, time, arm
            yield TOPICS.gripper_trajectory, time, finger

    found, _ = tracks(tmp_path, [*states(), *commands()])
    actions = found["joint_targets"].rows(START, DT, 8, ControlMode.EE_DELTA)
    assert_leads_along_the_wave(actions, 2e-4)
    positions = found["joint_targets"].rows(START, DT, 8, ControlMode.JOINT_POSITION)
    np.testing.assert_allclose(positions[:, :6], [joints_at(START + (i + 1) * DT) for i in range(8)], atol=1e-4)
    deltas = found["joint_targets"].rows(START, DT, 8, ControlMode.JOINT_DELTA)
    np.testing.assert_allclose(np.diff(positions[:, :6], axis=0), deltas[1:, :6], atol=1e-12)
    poses = found["joint_targets"].rows(START, DT, 8, ControlMode.EE_POSE)
    np.testing.assert_allclose(pose_from_action(poses[3]), forward(joints_at(START + 4 * DT)), atol=2e-4)
    assert "/wx250s/arm_controller/joint_trajectory" in found["joint_targets"].convention
    assert "gripper of /wx250s/gripper_controller" in found["joint_targets"].convention


@pytest.mark.parametrize("kind", ["forward", "interbotix"])
def test_driver_commands_are_joint_targets(tmp_path, kind):
    def commands():
        for tick in range(60):
            time = START - 0.2 + tick * 0.05
            finger = finger_from_gripper(opening_at(time))
            if kind == "forward":
                data = np.array([*joints_at(time), finger])
                layout = bags.make("std_msgs/msg/MultiArrayLayout", dim=[], data_offset=0)
                yield (
                    TOPICS.forward_commands,
                    time,
                    bags.make("std_msgs/msg/Float64MultiArray", layout=layout, data=data),
                )
                continue
            arm = joints_at(time).astype(np.float32)
            yield TOPICS.joint_group, time, bags.make("interbotix_xs_msgs/msg/JointGroupCommand", name="arm", cmd=arm)
            single = bags.make("interbotix_xs_msgs/msg/JointSingleCommand", name="gripper", cmd=2.0 * finger)
            yield TOPICS.joint_single, time, single

    found, _ = tracks(tmp_path, [*states(), *commands()])
    assert_leads_along_the_wave(found["joint_targets"].rows(START, DT, 8, ControlMode.EE_DELTA), 1e-3)
    assert best_track(found) is found["joint_targets"]


def pose_message(time, pose):
    x, y, z, w = quaternion_from_matrix(pose[:3, :3])
    point = dict(zip("xyz", pose[:3, 3], strict=True))
    kinds = "geometry_msgs/msg/"
    return bags.make(
        f"{kinds}PoseStamped",
        header=bags.header(time, "wx250s/base_link"),
        pose=bags.make(
            f"{kinds}Pose",
            position=bags.make(f"{kinds}Point", **point),
            orientation=bags.make(f"{kinds}Quaternion", x=x, y=y, z=z, w=w),
        ),
    )


def test_poses_of_the_end_effector_become_every_mode(tmp_path):
    times = [START - 0.2 + 0.05 * tick for tick in range(60)]
    poses = [(TOPICS.ee_target, time, pose_message(time, forward(joints_at(time)))) for time in times]
    found, _ = tracks(tmp_path, [*states(), *poses])
    track = found["ee_pose"]
    increments = track.rows(START, DT, 4, ControlMode.EE_DELTA)
    for action, (before, measured, after, _) in zip(increments, bridge_rows(4), strict=True):
        np.testing.assert_allclose(apply_delta(before, measured, action)[0], after, atol=1e-3)
    joints = track.rows(START, DT, 4, ControlMode.JOINT_POSITION)
    np.testing.assert_allclose(joints[:, :6], [joints_at(START + (i + 1) * DT) for i in range(4)], atol=5e-3)
    assert "gripper as measured" in track.convention and (joints[:, 6] == 1.0).all()


def test_velocities_count_for_their_duration(tmp_path):
    kinds = "geometry_msgs/msg/"

    def vector(x, y, z):
        return bags.make(f"{kinds}Vector3", x=x, y=y, z=z)

    def twist(time):
        velocity = bags.make(f"{kinds}Twist", linear=vector(0.05, 0.0, -0.02), angular=vector(0.0, 0.0, 0.1))
        return bags.make(f"{kinds}TwistStamped", header=bags.header(time, "wx250s/base_link"), twist=velocity)

    times = [START + 0.02 * tick for tick in range(60)]
    found, _ = tracks(tmp_path, [*states(), *(("/servo_node/delta_twist_cmds", time, twist(time)) for time in times)])
    actions = found["ee_delta"].rows(START, DT, 5, ControlMode.EE_DELTA)
    np.testing.assert_allclose(actions, [[0.01, 0.0, -0.004, 0.0, 0.0, 0.02, 1.0]] * 5, atol=1e-6)


def test_arrays_of_seven_are_bridge_increments(tmp_path):
    layout = bags.make("std_msgs/msg/MultiArrayLayout", dim=[], data_offset=0)
    expected = rows(10).astype(np.float64)
    messages = [
        (
            "/robot/bridge_action",
            START + index * DT,
            bags.make("std_msgs/msg/Float64MultiArray", layout=layout, data=row),
        )
        for index, row in enumerate(expected)
    ]
    found, _ = tracks(tmp_path, messages)
    np.testing.assert_array_equal(best_track(found).rows(START, DT, 10, ControlMode.EE_DELTA), expected)


def test_measured_joints_are_the_last_resort_and_say_so(tmp_path):
    found, _ = tracks(tmp_path, states())
    assert list(found) == ["measured"]
    actions = best_track(found).rows(START, DT, 5, ControlMode.EE_DELTA)
    assert_leads_along_the_wave(actions, 1e-3)
    assert "measured joints" in best_track(found).convention


def test_nothing_is_known_before_and_after_the_recording(tmp_path):
    found, _ = tracks(tmp_path, states(seconds=2.0, since=0.0))
    track = best_track(found)
    assert np.isnan(track.rows(START - 1.0, DT, 4, ControlMode.EE_DELTA)).any(axis=1).all()
    assert np.isnan(track.rows(track.times[1], DT, 4, ControlMode.EE_DELTA)).any(axis=1).all()


def test_a_recording_without_commands_is_named(tmp_path):
    found, _ = tracks(tmp_path, [(TOPICS.instruction, START, bags.text("pick"))])
    with pytest.raises(RecordingError, match="does not tell what the arm was commanded"):
        best_track(found)


def test_what_a_dry_run_would_have_sent_does_not_count(tmp_path):
    topic = f"/chunker_node/shadow{TOPICS.arm_trajectory}"
    found, _ = tracks(tmp_path, [*states(), (topic, START, bags.trajectory(0.0, NEUTRAL, ARM_JOINTS))])
    assert list(found) == ["measured"]


def test_messages_that_command_nothing_usable_are_counted(tmp_path):
    bad = bags.trajectory(0.0, [np.nan] * 6, ARM_JOINTS)
    short = bags.chunk(START, rows(8), 1, data=np.zeros(3, np.float32))
    _, warnings = tracks(tmp_path, [(TOPICS.arm_trajectory, START, bad), (TOPICS.action_chunk, START, short)])
    assert any("1 unusable messages" in warning for warning in warnings)
    assert any("holds 3 numbers" in warning for warning in warnings)
