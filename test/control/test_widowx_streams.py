"""The assembler of a WidowX reads messages by their fields."""

from types import SimpleNamespace

import numpy as np
import pytest

from dvla_ros.control.alignment_config import AlignmentConfig
from dvla_ros.control.bridge import bridge_state
from dvla_ros.control.widowx import FINGER_OPEN, JOINT_STATE_ORDER, NEUTRAL
from dvla_ros.control.widowx_streams import camera_topic, stamp_seconds, store_camera, store_joints, widowx_assembler
from dvla_ros.errors import ConfigurationError


def header(seconds: float) -> SimpleNamespace:
    return SimpleNamespace(stamp=SimpleNamespace(sec=int(seconds), nanosec=round(seconds % 1.0 * 1e9)))


def image(seconds: float, value: int = 7) -> SimpleNamespace:
    data = np.full(4 * 6 * 3, value, np.uint8)
    fields = {"height": 4, "width": 6, "encoding": "rgb8", "is_bigendian": 0, "step": 18}
    return SimpleNamespace(header=header(seconds), data=data, **fields)


def joints(seconds: float, waist: float = 0.0) -> SimpleNamespace:
    position = np.array([*NEUTRAL, 0.0, FINGER_OPEN, -FINGER_OPEN])
    position[0] = waist
    return SimpleNamespace(header=header(seconds), name=list(JOINT_STATE_ORDER), position=position)


def test_messages_become_images_and_a_bridge_state() -> None:
    assembler = widowx_assembler(("front",), AlignmentConfig())
    assembler.set_instruction("pick up the red cube")
    store_camera(assembler, "front", image(5.0), 5.01)
    store_joints(assembler, joints(5.0), 5.01)
    observation = assembler.assemble(5.02, 0.0)
    assert observation is not None and observation.stamp == 5.0
    assert (observation.images["front"] == 7).all()
    np.testing.assert_array_equal(observation.state, bridge_state(np.array([0.0, *NEUTRAL[1:]]), FINGER_OPEN))


def test_every_setting_reaches_the_streams() -> None:
    alignment = AlignmentConfig(camera_latency_s=(0.125, 0.0), joint_latency_s=0.03125, stamp_source="receive")
    assembler = widowx_assembler(("front", "wrist"), alignment)
    for camera in ("front", "wrist"):
        store_camera(assembler, camera, image(0.0), 5.0)
    store_joints(assembler, joints(0.0), 5.0)
    newest = {name: statistics.newest for name, statistics in assembler.statistics().items()}
    assert newest == {"front": 4.875, "wrist": 5.0, "joint_states": 4.96875}


def test_a_frozen_camera_is_noticed() -> None:
    assembler = widowx_assembler(("front",), AlignmentConfig())
    assembler.set_instruction("pick up the red cube")
    for tick in range(20):
        store_camera(assembler, "front", image(5.0 + tick / 20), 5.0 + tick / 20)
        store_joints(assembler, joints(5.0 + tick / 20, waist=tick / 50), 5.0 + tick / 20)
    assert "'front' is frozen" in assembler.problem(6.0)


def test_topics_and_stamps() -> None:
    assert camera_topic("front", compressed=False) == "/front_camera/image_raw"
    assert camera_topic("front", compressed=True) == "/front_camera/image_raw/compressed"
    assert stamp_seconds(SimpleNamespace(sec=3, nanosec=500_000_000)) == 3.5


def test_latencies_must_fit_the_cameras() -> None:
    with pytest.raises(ConfigurationError, match="one for each of front; got 2"):
        widowx_assembler(("front",), AlignmentConfig(camera_latency_s=(0.1, 0.1)))
