"""Collected frames hold what the cameras saw and what the expert would do next."""

from itertools import islice, pairwise

import cv2
import numpy as np
import pytest

from dvla_ros.errors import ConfigurationError, SimulationError
from dvla_ros.simulation.expert import Expert, draw_style, plain_style, yaw_of
from dvla_ros.simulation.scene import CAMERAS, COLOURS
from dvla_ros.simulation.simulation import Simulation
from dvla_ros.simulation.tasks import TASKS
from dvla_ros.simulation.teleop import BridgeArm
from dvla_ros.training.collect import CollectConfig, Collector
from dvla_ros.training.demonstrations import read_demonstrations
from dvla_ros.training.shard import FUTURE_SIZE

SMOOTH = {"noise_m": 0.0, "kick_probability": 0.0, "slip_probability": 0.0, "moving": 0.0}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A collector whose expert drives without disturbance, and its episode number 1."""
    collector = Collector(CollectConfig(out=tmp_path_factory.mktemp("unused"), **SMOOTH))
    return collector, *collector.episode(1)


def test_progress_is_reported_and_everything_is_written(collected):
    folder, progress = collected
    read = read_demonstrations([folder])
    assert [done for done, _, _ in progress] == [1, 2]
    assert progress[-1][1] == len(read)
    assert sorted(np.unique(read.episodes)) == [3, 4]
    assert read.manifest.cameras == CAMERAS and read.manifest.task_names == tuple(TASKS)
    families = {TASKS[read.manifest.task_names[i]].family for i in np.unique(read.instructions)}
    assert families <= {"pick", "push"}


def test_the_undisturbed_expert_succeeds(undisturbed):
    _, frames, success = undisturbed
    assert success and 5 < len(frames) < 50


def test_the_label_is_what_the_expert_does_next(undisturbed):
    """An expert of the same style, driving alone in a scene of the same seed, goes where the labels say."""
    _, frames, _ = undisturbed
    rng = np.random.default_rng([1, 7])
    task = Collector._draw_task(undisturbed[0], rng)
    assert_begins_as(frames[0].actions, task, lambda *seen: draw_style(task, *seen, rng))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_with_one_way_the_label_follows_from_the_scene_alone(tmp_path, number):
    collector = Collector(CollectConfig(out=tmp_path, one_way=True, **SMOOTH))
    frame = next(iter(collector.episode(number)[0]))
    task = list(TASKS.values())[frame.instruction]
    assert_begins_as(frame.actions, task, lambda *seen: plain_style(task, *seen), number)


def assert_begins_as(actions, task, style, number=1):
    """The actions are those of an expert of this style, from the beginning of this episode's scene on."""
    simulation = Simulation(task.name, 1_000_000 + number)
    arm = BridgeArm(simulation)
    expert = Expert(task, style(simulation.scene_state(), yaw_of(arm.pose)))
    for row in actions[:5]:
        command = expert.act(simulation.scene_state(), arm.pose, arm.gripper, simulation.finger)
        action = arm.action_towards(command.pose, command.gripper)
        assert row == pytest.approx(action, abs=2e-3)
        arm.apply(action)


def test_consecutive_labels_tell_the_same_story(undisturbed):
    """Row 1 of a frame is row 0 of the next, up to how far the arm had come when it was asked."""
    _, frames, _ = undisturbed
    for frame, following in pairwise(frames[:9]):
        assert frame.actions[1, :3] == pytest.approx(following.actions[0, :3], abs=0.012)


def test_the_future_is_what_the_cameras_see_after_the_chunk(undisturbed):
    """The undisturbed expert follows its label: the frame eight actions later resembles the promised future."""
    _, frames, _ = undisturbed
    for frame, later in pairwise(frames[:9:8]):
        seen = _small(later.images)
        assert frame.futures.shape == seen.shape and frame.futures.dtype == np.uint8
        change = np.abs(frame.futures.astype(float) - seen).mean()
        assert change < 0.5 * np.abs(frame.futures.astype(float) - _small(frame.images)).mean()


def _small(images):
    return np.stack([cv2.resize(image, FUTURE_SIZE, interpolation=cv2.INTER_AREA) for image in images])


def test_labelling_leaves_no_trace(undisturbed):
    """The episode goes on from where it was: states follow the first rows of the labels."""
    _, frames, _ = undisturbed
    for frame, following in pairwise(frames[:9]):
        assert following.state[:3] - frame.state[:3] == pytest.approx(frame.actions[0, :3], abs=0.02)


def test_the_named_pixel_shows_the_target_in_the_front_view(undisturbed):
    _, frames, _ = undisturbed
    frame = frames[0]
    channel = COLOURS.index(list(TASKS.values())[frame.instruction].target)
    height, width = frame.images.shape[1:3]
    u, v = (frame.pixels[0, 0] * [width, height]).astype(int)
    pixel = frame.images[0, v, u].astype(int)
    assert pixel[channel] > np.delete(pixel, channel).max() + 20


def test_an_episode_is_reproducible(undisturbed):
    collector, frames, _ = undisturbed
    again, _ = collector.episode(1)
    assert len(again) == len(frames)
    assert all(
        (a.actions == b.actions).all() and (a.images == b.images).all() for a, b in zip(again, frames, strict=True)
    )


def test_the_label_of_a_moving_arm_begins_with_the_actions_that_it_is_executing(tmp_path):
    collector = Collector(CollectConfig(out=tmp_path, **{**SMOOTH, "moving": 1.0}))
    frames, success = collector.episode(1)
    counts = [frame.frozen for frame in frames]
    assert success and counts[0] == 0 and set(counts[1:]) <= {1, 2, 3, 4, 5} and len(set(counts)) > 2
    for frame, following in pairwise(frames[1:]):
        shared = min(frame.frozen - 1, following.frozen)
        np.testing.assert_array_equal(frame.actions[1 : 1 + shared], following.actions[:shared])


def test_a_moving_arm_is_seen_shortly_after_the_first_action_of_its_label_began(tmp_path):
    """From one picture to the next the arm does the rest of one action and a part of the next."""
    collector = Collector(CollectConfig(out=tmp_path, **{**SMOOTH, "moving": 1.0}))
    frames, _ = collector.episode(1)
    for frame, following in pairwise(frames[1:9]):
        way = np.stack([frame.actions[0, :3], frame.actions[1, :3]])
        lower, upper = np.minimum(way.min(axis=0), 0.0) - 0.015, np.maximum(way.max(axis=0), 0.0) + 0.015
        moved = following.state[:3] - frame.state[:3]
        assert (lower <= moved).all() and (moved <= upper).all()


def test_disturbances_change_the_way_and_not_the_labels(undisturbed, tmp_path):
    """The shoved arm leaves the path; every label stays an action the expert may ask for."""
    _, smooth, _ = undisturbed
    rough, _ = Collector(CollectConfig(out=tmp_path, noise_m=0.01, kick_probability=0.4, moving=0.0)).episode(1)
    shared = min(len(rough), len(smooth))
    ways = [np.array([frame.state[:3] for frame in frames[:shared]]) for frames in (rough, smooth)]
    assert np.abs(ways[0] - ways[1]).max() > 0.02
    labels = np.array([frame.actions for frame in rough])
    assert np.abs(labels[..., :3]).max() <= 0.05 and np.abs(labels[..., 3:6]).max() <= 0.26
    assert set(np.unique(labels[..., 6])) <= {0.0, 1.0}


def test_labels_are_as_long_as_asked_for(tmp_path):
    collector = Collector(CollectConfig(out=tmp_path, horizon=4, moving=1.0))
    assert collector.manifest().horizon == 4
    frames = list(islice(collector._drive_on(*_begun(collector), 0.0, 1, np.random.default_rng(0)), 6))
    assert all(frame.actions.shape == (4, 7) for frame in frames)
    assert {frame.frozen for frame in frames} == {0, 1}


def _begun(collector):
    """The task of episode 1 and its expert, in its scene."""
    rng = np.random.default_rng([1, 7])
    task = collector._draw_task(rng)
    collector._simulation.reset(task.name, 1_000_001)
    collector._arm.restart()
    return task, collector._expert(task, rng)


def test_tasks_that_are_named_are_all_there_is(tmp_path):
    collector = Collector(CollectConfig(out=tmp_path, tasks=("detour_red", "detour_blue"), **SMOOTH))
    (blue, success), (red, other_success) = collector.episode(0), collector.episode(5)
    names = collector.manifest().task_names
    assert names == ("detour_red", "detour_blue") and success and other_success
    assert {names[frames[0].instruction] for frames in (red, blue)} == {"detour_red", "detour_blue"}
    for frames in (red, blue):  # one side each, from the first row to where the hand is beside the post
        assert len(set(np.sign(frames[0].actions[:4, 1]))) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"horizon": 3}, "horizon must be 4 or more actions, got 3"),
        ({"episodes": 0}, "episodes_per_shard must be 1 or more"),
        ({"seed": -1}, "seed 0 or more"),
        ({"weights": (1.0, 1.0)}, "weights needs 4 shares"),
        ({"weights": (0.0, 0.0, 0.0, 0.0)}, "weights needs 4 shares"),
        ({"episodes_per_shard": 0}, "episodes_per_shard must be 1 or more"),
        ({"kick_probability": 1.5}, "kick_probability"),
        ({"noise_m": -0.1}, "noise_m"),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path, change, words):
    with pytest.raises(ConfigurationError, match=words):
        CollectConfig(out=tmp_path, **change)


def test_a_task_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SimulationError, match="no task 'juggle'"):
        CollectConfig(out=tmp_path, tasks=("juggle",))
