"""Demonstrations of the scripted expert go through the nodes into a bag, and from there into a training set."""

import json

import numpy as np
import pytest

from dvla_ros.cli import main
from dvla_ros.errors import ObservationError
from dvla_ros.msg import TaskStatus
from dvla_ros.nodes import simulated_scene
from dvla_ros.nodes.simulated_scene import TOPIC, SimulatedScene
from dvla_ros.training.demonstrations import read_demonstrations

pytestmark = pytest.mark.slow


def test_demonstrations_are_recorded_and_become_a_training_set(tmp_path, capsys):
    out, data = tmp_path / "shown", tmp_path / "data"
    code = main(["demonstrate", "--out", str(out), "--episodes", "2", "--tasks", "push_blue_left", "pick_red"])
    episodes = [json.loads(line) for line in (out / "episodes.jsonl").read_text().splitlines()]
    assert [episode["task"] for episode in episodes] == ["push_blue_left", "pick_red"]
    successes = [episode["task"] for episode in episodes if episode["outcome"] == "success"]
    assert code == (0 if len(successes) == 2 else 1)
    assert successes, episodes
    words = ["--out", str(data), "--lag-s", "0.1", "--only-successes"]
    assert main(["convert", str(out / "bag"), *words]) == 0
    frames = read_demonstrations([data])
    assert set(frames.manifest.task_names) == set(successes)
    assert len(frames) > 8 * len(successes)
    moved = np.abs(frames.actions[:, 0, :3]).max(axis=0)
    assert 0.02 < moved.max() <= 0.06  # the expert's steps are 4 cm
    assert main(["demonstrate", "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_the_scene_is_that_of_a_report_that_comes_after_the_question(ros_world):
    status = ros_world.probe.create_publisher(TaskStatus, TOPIC, simulated_scene.QOS)
    status.publish(TaskStatus(task="pick_red", seed=1))
    scene = SimulatedScene(ros_world.probe)
    ros_world.wait_until(lambda: scene._newest is not None, "the report of before")
    ros_world.probe.create_timer(0.05, lambda: status.publish(TaskStatus(task="pick_blue", seed=2)))
    assert scene.now() == ("pick_blue", 2)


def test_without_a_scene_the_expert_says_so(ros_world, monkeypatch):
    monkeypatch.setattr(simulated_scene, "_PATIENCE_S", 0.1)
    with pytest.raises(ObservationError, match="only plays in the simulated scene"):
        SimulatedScene(ros_world.probe).now()
