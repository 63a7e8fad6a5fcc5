"""The policy node with a real policy (random weights) on real topics."""

import json
import threading

import numpy as np
import pytest
import torch
from cv_bridge import CvBridge
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.action import ActionClient
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import String

from dvla_ros.action import RunPolicy
from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.control.chunk_message import chunk_from_message
from dvla_ros.control.observation import Observation
from dvla_ros.control.widowx import FINGER_OPEN, JOINT_STATE_ORDER, NEUTRAL
from dvla_ros.errors import ConfigurationError
from dvla_ros.msg import ActionChunk, DenoisingTrace, ExecutionStatus, InferenceRequest, PolicyInfo
from dvla_ros.nodes.conversions import seconds, to_duration
from dvla_ros.nodes.images import compress_image, encode_image
from dvla_ros.nodes.policy_node import LATCHED_QOS, PolicyNode
from dvla_ros.policies.dd_vla import DD_VLA
from dvla_ros.policies.fingerprint import fingerprint
from dvla_ros.policies.load import load_policy
from dvla_ros.policies.token_policy import TokenPolicy
from dvla_ros.srv import GetActionChunk

CHUNKS, TRACES = "/policy_node/action_chunk", "/policy_node/denoising_trace"
PICTURE = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
JOINTS = JointState(name=list(JOINT_STATE_ORDER), position=[*NEUTRAL.tolist(), 0.0, FINGER_OPEN, -FINGER_OPEN])


def without(joint):
    kept = [index for index, name in enumerate(JOINTS.name) if name != joint]
    return JointState(name=[JOINTS.name[i] for i in kept], position=[JOINTS.position[i] for i in kept])


class RobotTopics:
    """Publishes the same pictures and joints over and over, with fresh stamps, as drivers do."""

    def __init__(self, node, front=None, wrist=None, joints=JOINTS, qos=2, kind=Image, suffix=""):
        self._node, self._joints = node, joints
        self._front = encode_image(PICTURE) if front is None else front
        self._wrist = encode_image(PICTURE) if wrist is None else wrist
        topic = "/{}_camera/image_raw" + suffix
        self._publishers = [node.create_publisher(kind, topic.format(name), qos) for name in ("front", "wrist")]
        self._joint_publisher = node.create_publisher(JointState, "/wx250s/joint_states", 10)
        self._timer = node.create_timer(0.05, self._publish)

    def _publish(self):
        stamp = self._node.get_clock().now().to_msg()
        for publisher, image in zip(self._publishers, (self._front, self._wrist), strict=True):
            image.header.stamp = stamp
            publisher.publish(image)
        self._joints.header.stamp = stamp
        self._joint_publisher.publish(self._joints)


def send_instruction(ros_world, text):
    publisher = ros_world.probe.create_publisher(String, "/instruction", LATCHED_QOS)
    publisher.publish(String(data=text))
    return publisher


def problem_in(ros_world, diagnostics, words):
    return ros_world.next_that(diagnostics, lambda m: m.status[0].level == b"\x02" and words in m.status[0].message)


@pytest.fixture
def start(ros_world, checkpoint):
    """Starts a policy node with parameters; they are ROS overrides of this node alone."""

    def start(activate=True, **parameters):
        return ros_world.start(lambda: PolicyNode(overrides={"checkpoint": str(checkpoint), **parameters}), activate)

    return start


def test_an_instruction_makes_chunks_with_traces(ros_world, start):
    RobotTopics(ros_world.probe)
    chunks = ros_world.probe.collect(ActionChunk, CHUNKS)
    traces = ros_world.probe.collect(DenoisingTrace, TRACES)
    start(replanning="sync")
    assert chunks.empty()
    send_instruction(ros_world, "pick up the red cube")
    first, second = (chunk_from_message(chunks.get(timeout=10)) for _ in range(2))
    assert first.names == ACTION_NAMES
    assert second.sequence == first.sequence + 1
    assert second.epoch == first.epoch
    assert second.observation_stamp >= first.stamp + first.execute_steps * first.dt - 1e-6
    trace = traces.get(timeout=5)
    assert trace.sequence == first.sequence
    assert (list(trace.segments), list(trace.segment_rows), list(trace.segment_columns)) == (["action"], [8], [7])
    assert len(trace.tokens) == trace.num_steps * trace.horizon * trace.action_dim
    assert trace.mask_token not in trace.tokens[-trace.horizon * trace.action_dim :]


def test_a_chunk_can_be_asked_for_again(ros_world, start, checkpoint):
    """What was asked and what answers are published: the same request has the same answer."""
    RobotTopics(ros_world.probe)
    chunks = ros_world.probe.collect(ActionChunk, CHUNKS)
    requests = ros_world.probe.collect(InferenceRequest, "/policy_node/inference_request")
    start(replanning="sync", instruction="pick up the red cube")
    chunk, request = chunk_from_message(chunks.get(timeout=10)), requests.get(timeout=5)
    infos = ros_world.probe.collect(PolicyInfo, "/policy_node/policy_info", LATCHED_QOS)
    info = infos.get(timeout=5)
    assert (request.epoch, request.sequence) == (chunk.epoch, chunk.sequence)
    assert info.fingerprint == fingerprint(checkpoint) and info.system == "dd_vla"
    assert json.loads(info.parameter_values[info.parameter_names.index("replanning")]) == "sync"
    images = {"front": PICTURE, "wrist": PICTURE}
    observation = Observation(seconds(request.header.stamp), images, np.array(request.state), request.instruction)
    assert observation.crc == request.observation_crc
    again = load_policy(checkpoint).predict(observation, seed=request.seed)
    np.testing.assert_array_equal(again.actions, chunk.actions)


def test_seeds_follow_each_other_where_one_is_given(ros_world, start):
    RobotTopics(ros_world.probe)
    requests = ros_world.probe.collect(InferenceRequest, "/policy_node/inference_request")
    start(instruction="pick up the red cube", seed=40)
    assert [requests.get(timeout=10).seed for _ in range(2)] == [40, 41]


def test_a_policy_that_imagines_publishes_an_image_of_each_camera(ros_world, start, untrained):
    RobotTopics(ros_world.probe)
    chunks = ros_world.probe.collect(ActionChunk, CHUNKS)
    imagined = {c: ros_world.probe.collect(Image, f"/policy_node/imagined_image/{c}") for c in ("front", "wrist")}
    # An untrained network of bins cannot write a malformed chunk; one that imagines writes FAST.
    start(instruction="pick up the red cube", checkpoint=str(untrained(system="ud_vla", coding=DD_VLA.coding)))
    chunk = chunks.get(timeout=20)
    for messages in imagined.values():
        image = messages.get(timeout=5)
        assert (image.width, image.height, image.encoding) == (16, 16, "rgb8")
        assert image.header.frame_id == chunk.header.frame_id


def test_a_policy_that_reasons_publishes_its_words(ros_world, start, untrained):
    RobotTopics(ros_world.probe)
    chunks = ros_world.probe.collect(ActionChunk, CHUNKS)
    reasoning = ros_world.probe.collect(String, "/policy_node/reasoning")
    start(instruction="pick up the red cube", checkpoint=str(untrained(system="diffusion_vla")))
    assert chunk_from_message(chunks.get(timeout=20)).horizon == 8
    assert isinstance(reasoning.get(timeout=5).data, str)


def test_other_policies_have_no_such_topics(ros_world, start):
    node = start()
    topics = [name for name, _ in node.get_topic_names_and_types()]
    assert not [name for name in topics if "imagined" in name or "reasoning" in name]


def test_a_new_instruction_starts_a_new_epoch_at_once(ros_world, start):
    RobotTopics(ros_world.probe)
    chunks = ros_world.probe.collect(ActionChunk, CHUNKS)
    start()
    publisher = send_instruction(ros_world, "pick up the red cube")
    first = chunks.get(timeout=10)
    publisher.publish(String(data="pick up the blue cube"))
    second = chunks.get(timeout=10)
    assert second.epoch > first.epoch


def test_best_effort_cameras_are_heard(ros_world, start):
    RobotTopics(ros_world.probe, qos=QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT))
    chunks = ros_world.probe.collect(ActionChunk, CHUNKS)
    start(instruction="pick up the red cube")
    chunks.get(timeout=10)


def test_compressed_cameras_are_heard(ros_world, start):
    jpeg = compress_image(PICTURE)
    RobotTopics(ros_world.probe, jpeg, jpeg, kind=CompressedImage, suffix="/compressed")
    chunks = ros_world.probe.collect(ActionChunk, CHUNKS)
    start(instruction="pick up the red cube", compressed=True)
    chunks.get(timeout=10)


def test_diagnostics_count_frames_and_split_the_latency(ros_world, start):
    RobotTopics(ros_world.probe)
    diagnostics = ros_world.probe.collect(DiagnosticArray, "/diagnostics")
    start(instruction="pick up the red cube", camera_hz=20.0)
    message = ros_world.next_that(
        diagnostics, lambda m: any(v.key == "chunks" and int(v.value) >= 1 for v in m.status[0].values)
    )
    numbers = {value.key: float(value.value) for value in message.status[0].values}
    assert numbers["latency_ms_p95"] >= max(numbers["preprocess_ms_p95"], numbers["denoise_ms_p95"]) > 0.0
    assert numbers["front_received"] > 0
    assert numbers["front_expected"] > 0


@pytest.mark.parametrize("text", ["", "   "])
def test_an_empty_instruction_is_an_error_and_stops_the_policy(ros_world, start, capfd, text):
    RobotTopics(ros_world.probe)
    chunks = ros_world.probe.collect(ActionChunk, CHUNKS)
    node = start()
    publisher = send_instruction(ros_world, "pick up the red cube")
    chunks.get(timeout=10)
    publisher.publish(String(data=text))
    ros_world.wait_until(lambda: node.idle, "the policy to stop")
    assert "instruction is empty" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("robot", "words"),
    [
        ({"joints": without("elbow")}, "joint 'elbow'"),
        ({"wrist": CvBridge().cv2_to_imgmsg(np.zeros((4, 4), np.float32), encoding="32FC1")}, "'wrist' sends encoding"),
        ({"joints": without("left_finger")}, "joint 'left_finger'"),
    ],
    ids=["joint", "encoding", "finger"],
)
def test_a_bad_stream_is_named_and_no_chunk_leaves(ros_world, start, robot, words):
    RobotTopics(ros_world.probe, **robot)
    chunks = ros_world.probe.collect(ActionChunk, CHUNKS)
    diagnostics = ros_world.probe.collect(DiagnosticArray, "/diagnostics")
    start(instruction="pick up the red cube")
    problem_in(ros_world, diagnostics, words)
    assert chunks.empty()


def test_a_missing_camera_is_named_and_no_chunk_leaves(ros_world, start):
    ros_world.probe.create_publisher(Image, "/front_camera/image_raw", 2)
    chunks = ros_world.probe.collect(ActionChunk, CHUNKS)
    diagnostics = ros_world.probe.collect(DiagnosticArray, "/diagnostics")
    start(instruction="pick up the red cube", warm_up_s=0.5)
    problem_in(ros_world, diagnostics, "'wrist'")
    assert chunks.empty()


@pytest.mark.parametrize(
    ("settings", "parameters", "words"),
    [
        ({}, {"checkpoint": "/no/such/folder"}, "'/no/such/folder' does not exist"),
        ({}, {"checkpoint": ""}, "checkpoint '' does not exist"),
        ({"action_dim": 14}, {}, "14 action dimensions"),
        ({"cameras": ("front", "side")}, {}, "needs camera 'side', configured are front, wrist"),
    ],
    ids=["missing", "none", "dimension", "camera"],
)
def test_a_checkpoint_that_does_not_fit_is_refused(start, untrained, capfd, settings, parameters, words):
    given = {"checkpoint": str(untrained(**settings)), **parameters}
    node = start(activate=False, **given)
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    error = capfd.readouterr().err
    assert words in error
    assert "Traceback" not in error


def test_a_cache_is_taken_from_the_parameters_and_told(ros_world, start):
    node = start(cache="dllm:3,2,0.5")
    assert str(node._policy.network.cache) == "dllm:3,2,0.5"
    info = ros_world.probe.collect(PolicyInfo, "/policy_node/policy_info", LATCHED_QOS).get(timeout=5)
    assert json.loads(info.parameter_values[info.parameter_names.index("cache")]) == "dllm:3,2,0.5"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"cache": "all"}, "cache must be"),
        ({"weights": "int4"}, "weights must be"),
        ({"max_batch": 0}, "max_batch"),
        ({"batch_wait_s": -1.0}, "batch_wait_s"),
    ],
)
def test_a_cache_a_form_of_weights_or_a_batch_that_does_not_exist_is_refused(start, wrong, words):
    with pytest.raises(ConfigurationError, match=words):
        start(**wrong)


def test_an_unknown_parameter_is_named(start):
    with pytest.raises(ConfigurationError, match="Did you mean 'camera_hz'"):
        start(camera_zh=3.0)


def goal_result(ros_world, goal, on_feedback=lambda feedback: None, cancel_after=None):
    client = ActionClient(ros_world.probe, RunPolicy, "/policy_node/run_policy")
    assert client.wait_for_server(10.0)
    done, results = threading.Event(), []

    def accepted(future):
        handle = future.result()
        assert handle.accepted
        handle.get_result_async().add_done_callback(lambda f: (results.append(f.result()), done.set()))
        if cancel_after is not None:
            threading.Thread(target=lambda: (cancel_after.wait(10.0), handle.cancel_goal_async())).start()

    client.send_goal_async(goal, feedback_callback=on_feedback).add_done_callback(accepted)
    assert done.wait(20.0), "no result"
    return results[0].result


def test_a_goal_ends_after_its_chunks_and_reports_each(ros_world, start):
    RobotTopics(ros_world.probe)
    node = start()
    feedback = []
    goal = RunPolicy.Goal(instruction="pick up the red cube", max_chunks=2)
    result = goal_result(ros_world, goal, lambda message: feedback.append(message.feedback))
    assert (result.success, result.termination_reason, result.chunks) == (True, "max_chunks", 2)
    assert [entry.chunks for entry in feedback] == [1, 2]
    assert feedback[0].latency_ms > 0.0
    assert 0.0 < feedback[0].mean_confidence <= 1.0
    assert node.idle


def test_a_goal_ends_after_its_time(ros_world, start):
    RobotTopics(ros_world.probe)
    start()
    goal = RunPolicy.Goal(instruction="pick up the red cube", max_duration=to_duration(0.3))
    result = goal_result(ros_world, goal)
    assert (result.success, result.termination_reason) == (True, "max_duration")


def test_a_cancelled_goal_stops(ros_world, start):
    RobotTopics(ros_world.probe)
    start()
    first = threading.Event()
    goal = RunPolicy.Goal(instruction="pick up the red cube")
    result = goal_result(ros_world, goal, lambda message: first.set(), cancel_after=first)
    assert (result.success, result.termination_reason) == (True, "cancelled")


def test_a_goal_without_instruction_fails_and_says_so(ros_world, start):
    start()
    result = goal_result(ros_world, RunPolicy.Goal(instruction=" "))
    assert not result.success
    assert "instruction is empty" in result.message


def test_a_goal_ends_when_the_cameras_stop(ros_world, start):
    start(warm_up_s=0.1)
    result = goal_result(ros_world, RunPolicy.Goal(instruction="pick up the red cube"))
    assert (result.success, result.termination_reason) == (False, "observation_lost")
    assert "'front'" in result.message


def test_an_instruction_replaces_a_goal(ros_world, start):
    RobotTopics(ros_world.probe)
    start()
    goal = RunPolicy.Goal(instruction="pick up the red cube")
    result = goal_result(ros_world, goal, lambda message: send_instruction(ros_world, "pick up the green cube"))
    assert (result.success, result.termination_reason) == (False, "replaced")


def request(**changes):
    fields = {
        "instruction": "pick up the red cube",
        "images": [encode_image(PICTURE), encode_image(PICTURE)],
        "image_names": ["front", "wrist"],
        "robot_state": JOINTS,
        "seed": 3,
    }
    return GetActionChunk.Request(**{**fields, **changes})


def test_a_seeded_request_is_answered_the_same_each_time(ros_world, start):
    start()
    answers = [ros_world.probe.call(GetActionChunk, "/policy_node/get_action_chunk", request()) for _ in range(2)]
    assert all(answer.success for answer in answers), answers[0].message
    assert answers[0].chunk.data == answers[1].chunk.data
    assert answers[0].trace.num_steps == answers[0].chunk.nfe


def test_frozen_rows_come_back(ros_world, start):
    start()
    previous = ros_world.probe.call(GetActionChunk, "/policy_node/get_action_chunk", request()).chunk
    answer = ros_world.probe.call(
        GetActionChunk, "/policy_node/get_action_chunk", request(previous=previous, frozen_steps=3, seed=4)
    )
    assert answer.success, answer.message
    before, after = chunk_from_message(previous).actions, chunk_from_message(answer.chunk).actions
    np.testing.assert_allclose(after[:3], before[:3], atol=1e-4)
    assert not np.allclose(after[3:], before[3:])


def test_robots_that_ask_at_the_same_time_are_answered_as_one_batch_and_each_for_itself(ros_world, start, monkeypatch):
    sizes, inner = [], TokenPolicy._answers
    monkeypatch.setattr(TokenPolicy, "_answers", lambda self, asked: sizes.append(len(asked)) or inner(self, asked))
    start(max_batch=3, batch_wait_s=0.3)
    asked = [request(seed=3), request(seed=4), request(robot_state=without("waist")), request(seed=5), request(seed=6)]
    alone = [ros_world.probe.call(GetActionChunk, "/policy_node/get_action_chunk", each) for each in asked]
    sizes.clear()
    clients = [ros_world.probe.create_client(GetActionChunk, "/policy_node/get_action_chunk") for _ in asked]
    assert all(client.wait_for_service(10.0) for client in clients)
    done = threading.Semaphore(0)
    futures = [client.call_async(each) for client, each in zip(clients, asked, strict=True)]
    for future in futures:
        future.add_done_callback(lambda _: done.release())
    assert all(done.acquire(timeout=20.0) for _ in futures)
    answers = [future.result() for future in futures]
    assert [answer.success for answer in answers] == [True, True, False, True, True]
    assert "joint 'waist'" in answers[2].message
    assert [answer.chunk.data for answer in answers] == [answer.chunk.data for answer in alone]
    assert max(sizes) in (2, 3) and sum(sizes) == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"instruction": ""}, "instruction is empty"),
        ({"image_names": ["front"]}, "2 images and 1 image_names"),
        ({"image_names": ["front", "side"]}, "wrist"),
        ({"robot_state": without("waist")}, "joint 'waist'"),
        ({"frozen_steps": 2}, "horizon 0"),
    ],
    ids=["instruction", "names", "camera", "joint", "previous"],
)
def test_a_request_that_lacks_something_is_told_so(ros_world, start, changes, words):
    start()
    answer = ros_world.probe.call(GetActionChunk, "/policy_node/get_action_chunk", request(**changes))
    assert not answer.success
    assert words in answer.message


def test_the_next_chunk_repeats_the_rows_that_are_executed_meanwhile(ros_world, start):
    RobotTopics(ros_world.probe)
    chunks = ros_world.probe.collect(ActionChunk, CHUNKS)
    start(instruction="pick up the red cube")
    first, second = (chunk_from_message(chunks.get(timeout=10)) for _ in range(2))
    row = round((second.stamp - first.stamp) / first.dt)
    frozen = second.frozen_steps
    assert second.stamp == pytest.approx(first.stamp + row * first.dt, abs=1e-6)
    assert frozen >= 1
    assert second.execute_reserve
    assert np.allclose(second.actions[:frozen], first.actions[row : row + frozen], atol=1e-6)


def test_a_refused_chunk_is_not_counted_on(ros_world, start):
    RobotTopics(ros_world.probe)
    chunks = ros_world.probe.collect(ActionChunk, CHUNKS)
    statuses = ros_world.probe.create_publisher(ExecutionStatus, "/chunker_node/execution_status", 10)
    start(instruction="pick up the red cube")
    first = chunk_from_message(chunks.get(timeout=10))
    statuses.publish(ExecutionStatus(epoch=first.epoch, sequence=first.sequence, accepted=False, reason="speed"))
    second = chunk_from_message(chunks.get(timeout=10))
    assert second.frozen_steps == 0


def test_a_picture_that_stays_the_same_while_the_arm_moves_is_a_frozen_camera(ros_world, start):
    moving = JointState(name=list(JOINTS.name), position=list(JOINTS.position))
    RobotTopics(ros_world.probe, joints=moving)
    diagnostics = ros_world.probe.collect(DiagnosticArray, "/diagnostics")
    start(instruction="pick up the red cube", frozen_s=0.3)

    def turn():
        moving.position[0] += 0.01

    ros_world.probe.create_timer(0.05, turn)
    assert problem_in(ros_world, diagnostics, "front")


def test_inference_without_memory_ends_the_run_by_name_and_the_next_instruction_is_followed(
    ros_world, start, monkeypatch
):
    RobotTopics(ros_world.probe)
    chunks = ros_world.probe.collect(ActionChunk, CHUNKS)
    diagnostics = ros_world.probe.collect(DiagnosticArray, "/diagnostics")
    start()

    def full(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with monkeypatch.context() as patch:
        patch.setattr(TokenPolicy, "_predict", full)
        send_instruction(ros_world, "pick up the red cube")
        assert problem_in(ros_world, diagnostics, "enough free memory")
        assert chunks.empty()
    send_instruction(ros_world, "pick up the blue cube")
    assert chunks.get(timeout=10).epoch > 0
