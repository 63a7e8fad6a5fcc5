"""A small checkpoint in each published layout drives the simulated WidowX through the ROS nodes."""

import shutil
from contextlib import suppress

import numpy as np
import pytest
import yaml
from published import DEPLOYMENTS
from sensor_msgs.msg import JointState

from dvla_ros.nodes.episode_runner import EpisodeRequest, EpisodeRunner
from dvla_ros.nodes.session import simulated_robot
from dvla_ros.policies.published.fresh import WRITERS

READY_S = 100.0
TIME_LIMIT_S = 40.0
CHUNKS = 2
"""The arm has driven once a command answered so many chunks."""
pytestmark = pytest.mark.slow


class HasDriven(Exception):  # noqa: N818  # no error
    """Enough was seen of the episode."""


def watch(runner):
    """Ends an episode as soon as commands have answered enough chunks."""

    def look(status):
        if sum(runner.monitor.timing(chunk) is not None for chunk in runner.monitor.chunks()) >= CHUNKS:
            raise HasDriven

    return look


@pytest.mark.parametrize("system", WRITERS)
def test_a_published_checkpoint_drives_the_arm(system, environment, tmp_path):
    folder = tmp_path / "run" / f"{system}--50000_chkpt"
    WRITERS[system](folder, size="small", seed=0)
    deployment = tmp_path / "deployment.yaml"
    deployment.write_text(yaml.safe_dump(DEPLOYMENTS[system]))
    cameras = "front" if system == "llada_vla" else "front,wrist"
    given = {"checkpoint": str(folder), "deployment": str(deployment), "cameras": cameras}
    with simulated_robot("test_published", given, tmp_path / "log") as session:
        runner = EpisodeRunner(session.node, session.robot_name, session.cameras, session.nodes.check)
        measured = []
        topic = f"/{session.robot_name}/joint_states"
        session.node.create_subscription(JointState, topic, lambda state: measured.append(state.position[:6]), 10)
        runner.wait_until_ready(READY_S)
        with suppress(HasDriven):
            episode = runner.run(EpisodeRequest("pick_red", 1, "pick up the red cube", TIME_LIMIT_S), watch(runner))
            pytest.fail(f"{len(runner.monitor.chunks())} chunks, {episode.outcome}: {episode.detail}")
        chunks = runner.monitor.chunks()
    shutil.rmtree(folder)
    assert np.ptp(np.array(measured), axis=0).max() > 0.01  # rad, of the simulated arm
    moved = np.abs(np.concatenate([chunk.chunk.actions for chunk in chunks])[:, :3])
    assert 0.0 < moved.max() <= 0.0081  # metres a step: the bounds of the statistics
    assert f"{system} ready" in (tmp_path / "log" / "policy_node.log").read_text()
