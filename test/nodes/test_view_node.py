"""The view as a real node: what is published over DDS is drawn, and nothing makes it stop."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Header, String
from viewed import BEGIN, chunk, published, trace

pytest.importorskip("rerun", reason="the extra `view` is not installed")

from rrd import pixels_of, read_rrd

from dvla_ros.control.widowx import ARM_JOINTS, NEUTRAL
from dvla_ros.errors import ConfigurationError
from dvla_ros.msg import ActionChunk, DenoisingTrace, ExecutionStatus
from dvla_ros.nodes.conversions import chunk_to_message, to_time, trace_to_message
from dvla_ros.nodes.images import encode_image
from dvla_ros.nodes.view_node import ViewNode
from dvla_ros.policies.base import CanvasPart, DenoisingStep, Prediction, Timings

FILE = Path(tempfile.gettempdir()) / f"dvla_ros_view_{os.getpid()}.rrd"
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
RED = np.full((48, 64, 3), (200, 40, 40), np.uint8)


def view(*parameters):
    words = ("nice:=0", f"file:={FILE}", "cameras:=['front']", *parameters)
    arguments = [word for parameter in words for word in ("-p", f"view_node:{parameter}")]
    return pytest.mark.parametrize("ros_world", [arguments], indirect=True)


@pytest.fixture(autouse=True)
def no_file_is_left():
    yield
    FILE.unlink(missing_ok=True)


def header(stamp):
    return Header(stamp=to_time(stamp), frame_id="wx250s/base_link")


def camera_info():
    k = [80.0, 0.0, 32.0, 0.0, 80.0, 24.0, 0.0, 0.0, 1.0]
    return CameraInfo(header=header(BEGIN), width=64, height=48, k=k)


def image(stamp):
    message = encode_image(RED)
    message.header = header(stamp)
    return message


def chunk_message(made):
    return chunk_to_message(made.chunk, "wx250s/base_link", made.nfe, made.latency_s)


def trace_of(made, message):
    rows = zip(made.tokens, made.confidence, made.committed, made.remasked, made.frozen, strict=True)
    prediction = Prediction(
        actions=chunk().actions,
        tokens=made.tokens[-1],
        confidence=chunk().confidence,
        trace=tuple(DenoisingStep(*arrays) for arrays in rows),
        mask_token=made.mask_token,
        nfe=6,
        timings=Timings(made.preprocess_s, made.prefill_s, made.denoise_s, 0.0),
        canvas=tuple(CanvasPart(part.name, part.rows, part.columns) for part in made.segments),
    )
    return trace_to_message(prediction, message)


@view("camera_poses:=simulation")
def test_what_is_published_is_drawn(ros_world):
    probe = ros_world.probe
    said = probe.create_publisher(String, "/instruction", LATCHED)
    said.publish(String(data="pick up the red cube"))
    node = ros_world.start(ViewNode)
    joints = probe.connect(JointState, "/wx250s/joint_states")
    info = probe.connect(CameraInfo, "/front_camera/camera_info")
    chunks = probe.connect(ActionChunk, "/policy_node/action_chunk")
    traces = probe.connect(DenoisingTrace, "/policy_node/denoising_trace")
    statuses = probe.connect(ExecutionStatus, "/chunker_node/execution_status")
    pictures = probe.connect(Image, "/front_camera/image_raw")

    def publish(publisher, message):
        before = node.drawn
        publisher.publish(message)
        ros_world.wait_until(lambda: node.drawn > before, f"{type(message).__name__} to be drawn")

    publish(joints, JointState(header=header(BEGIN), name=list(ARM_JOINTS), position=NEUTRAL.tolist()))
    publish(info, camera_info())
    broken = chunk_message(published(1))
    broken.horizon = 9
    chunks.publish(broken)
    message = chunk_message(published(2))
    publish(chunks, message)
    publish(traces, trace_of(trace(2), message))
    publish(statuses, ExecutionStatus(header=header(BEGIN), state="fault", reason="estop", message="pressed"))
    publish(pictures, image(BEGIN + 0.3))
    node.stop()
    node.stop = lambda: None

    found = read_rrd(FILE)
    (path,) = found["/world/path/rows"]["positions"]
    assert (path.chunk, path.time) == (2, pytest.approx(BEGIN + 0.05, abs=1e-6))
    assert len(found["/cameras/front/path/rows"]["positions"][0].value) == 8
    (cells,) = found["/canvas/action/cells"]["buffer"]
    np.testing.assert_array_equal(pixels_of(cells.value, np.uint8, (3, 6)), trace().cells())
    assert cells.time == path.time
    assert found["/log/controller"]["text"][0].value == ["fault: estop: pressed"]
    assert found["/log/instruction"]["text"][0].value == ["pick up the red cube"]
    assert "A chunk of horizon 9" in found["/log/view"]["text"][0].value[0]
    assert found["/cameras/front/image"]["media_type"][0].value == ["image/jpeg"]


@view("picture_hz:=0.5")
def test_pictures_that_come_too_fast_are_dropped(ros_world):
    node = ros_world.start(ViewNode)
    pictures = ros_world.probe.connect(Image, "/front_camera/image_raw")
    done = ros_world.probe.connect(ExecutionStatus, "/chunker_node/execution_status")
    for index in range(10):
        pictures.publish(image(BEGIN + 0.01 * index))
    ros_world.wait_until(lambda: node.drawn == 1, "a picture")
    done.publish(ExecutionStatus(header=header(BEGIN), state="following"))
    ros_world.wait_until(lambda: node.drawn >= 2, "what came after the pictures")
    assert node.drawn == 2


@view("address:=everywhere")
def test_a_wrong_address_is_refused(ros_world):
    with pytest.raises(ConfigurationError, match="address must be an IP address"):
        ros_world.start(ViewNode)
