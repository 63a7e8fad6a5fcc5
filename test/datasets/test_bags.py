"""Recordings become data sets: the same rows whichever way, and a policy trains on them."""

import json

import numpy as np
import pytest
from bags import TOPICS, write_bag
from teleoperated import BEGIN, gripper, messages, targets, teleoperated_bag

from dvla_ros.cli import main
from dvla_ros.control.bridge import apply_delta, bridge_state, delta_between
from dvla_ros.control.kinematics import forward
from dvla_ros.control.widowx import finger_from_gripper
from dvla_ros.datasets.bag_source import BagSource
from dvla_ros.datasets.read_options import ReadOptions
from dvla_ros.errors import RecordingError
from dvla_ros.policies.published.prismatic_statistics import PrismaticStatistics
from dvla_ros.training.demonstrations import read_demonstrations

ASIDE = ["--image-size", "64", "48"]
"""The size of the recorded pictures: nothing is resized."""
LOSS = 3.0


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    """Three teleoperated episodes of two sentences."""
    return teleoperated_bag(tmp_path_factory.mktemp("bags") / "teleoperated")


@pytest.fixture(scope="module")
def training_set(bag, tmp_path_factory):
    """The training set made of it."""
    out = tmp_path_factory.mktemp("sets") / "training"
    assert main(["convert", str(bag), "--out", str(out), *ASIDE]) == 0
    return out


def test_states_are_measured_and_actions_lead_from_target_to_target(bag):
    (first, *_) = BagSource([bag], ReadOptions(pictures=False)).trajectories()
    begin = 0.2  # the first frame after the first command
    for i in (0, 5, 20):
        time = begin + 0.2 * i
        measured = targets(time - 0.1, 0)
        state = bridge_state(measured, finger_from_gripper(gripper(time - 0.1)))
        # Joints are interpolated between samples, commands held for 40 ms.
        assert first.states[i] == pytest.approx(state, abs=2e-3)
        before, after = (forward(targets(t, 0)) for t in (time, time + 0.2))
        action = delta_between(before, after, forward(measured), gripper(time + 0.1))
        assert first.actions[i] == pytest.approx(action, abs=2e-3)
        reached, _ = apply_delta(before, forward(measured), first.actions[i].astype(float))
        assert reached[:3, 3] == pytest.approx(after[:3, 3], abs=2e-3)


def test_actions_of_an_arm_that_is_behind_lead_on_from_where_it_is_seen(bag):
    (first, *_) = BagSource([bag], ReadOptions(pictures=False, lag_s=0.1)).trajectories()
    for i in (5, 20):
        seen = 0.2 + 0.2 * i
        before, after = (forward(targets(t, 0)) for t in (seen - 0.1, seen + 0.1))
        reached, _ = apply_delta(before, forward(targets(seen - 0.1, 0)), first.actions[i].astype(float))
        assert reached[:3, 3] == pytest.approx(after[:3, 3], abs=2e-3)


def test_the_lag_is_found_in_the_recording(bag):
    """The arm is where it was told to be 0.1 s ago, and each command is due 0.04 s after it was sent."""

    def apart(lag_s):
        first, *_ = BagSource([bag], ReadOptions(pictures=False, lag_s=lag_s)).trajectories()
        reached = np.diff(first.states[:, :3], axis=0)
        return np.linalg.norm(reached - first.actions[:-1, :3], axis=1).mean()

    assert "the arm is 0.06 s behind its command" in BagSource([bag], ReadOptions(lag_s="auto")).convention
    assert apart("auto") == apart(0.06) < 0.5 * apart(0.0)


def test_an_arm_that_was_led_by_hand_is_not_behind(bag):
    source = BagSource([bag], ReadOptions(pictures=False, actions="measured", lag_s="auto"))
    assert "the arm is 0.00 s behind" in source.convention


def test_a_training_set_of_a_bag_holds_its_episodes(training_set):
    data = read_demonstrations([training_set])
    assert data.manifest.instructions == ("pick up the red cube", "wipe the table")
    assert data.manifest.task_names == ("pick_red", "")
    assert np.unique(data.episodes).tolist() == [0, 1, 2] and len(data) > 3 * 20
    assert data.images.shape[1:] == (2, 48, 64, 3) and np.isnan(data.pixels).all()


@pytest.mark.parametrize("images", ["video", "parquet"])
def test_the_way_over_lerobot_changes_no_number(bag, training_set, images, tmp_path):
    lerobot, back = tmp_path / "lerobot", tmp_path / "back"
    assert main(["convert", str(bag), "--out", str(lerobot), "--to", "lerobot", "--images", images]) == 0
    assert main(["convert", str(lerobot), "--out", str(back), *ASIDE]) == 0
    direct, round_trip = read_demonstrations([training_set]), read_demonstrations([back])
    assert round_trip.manifest == direct.manifest
    for name in ("states", "actions", "instructions", "episodes", "frozen"):
        assert np.array_equal(getattr(round_trip, name), getattr(direct, name)), name
    for name in ("images", "futures"):
        lost = np.abs(getattr(round_trip, name)[:].astype(int) - getattr(direct, name)[:])
        assert lost.max() == 0 if images == "parquet" else lost.mean() < LOSS


def test_a_training_set_becomes_a_lerobot_set_and_comes_back_as_it_was(training_set, tmp_path):
    lerobot, back = tmp_path / "lerobot", tmp_path / "back"
    words = ["--to", "lerobot", "--images", "parquet", *ASIDE]
    assert main(["convert", str(training_set), "--out", str(lerobot), *words]) == 0
    assert main(["convert", str(lerobot), "--out", str(back), *ASIDE]) == 0
    direct, round_trip = read_demonstrations([training_set]), read_demonstrations([back])
    for name in ("states", "actions", "instructions", "images", "futures", "episodes"):
        assert np.array_equal(getattr(round_trip, name), getattr(direct, name)), name


@pytest.mark.parametrize("to", ["training", "lerobot"])
def test_validation_episodes_are_kept_apart(bag, to, tmp_path):
    result = tmp_path / "result.json"
    words = ["--out", str(tmp_path / "set"), "--to", to, "--validation", "0.3", "--seed", "1", "--images", "parquet"]
    assert main(["convert", str(bag), *words, "--json", str(result)]) == 0
    told = json.loads(result.read_text())
    assert told["episodes"] == {"train": 2, "validation": 1}
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == ["train", "validation"]
    if to == "lerobot":
        info = json.loads((tmp_path / "set/validation/meta/info.json").read_text())
        assert info["splits"] == {"validation": "0:1"}


def test_options_choose_cameras_rate_number_and_source(bag, tmp_path):
    result = tmp_path / "result.json"
    words = ["--cameras", "wrist", "--fps", "10", "--max-frames", "12", "--actions", "measured"]
    assert main(["convert", str(bag), "--out", str(tmp_path / "set"), *words, "--json", str(result)]) == 0
    told, data = json.loads(result.read_text()), read_demonstrations([tmp_path / "set"])
    assert len(data) == 12 and data.images.shape[1:] == (1, 96, 128, 3)
    assert data.manifest.dt == pytest.approx(0.1) and "measured joints" in told["convention"]


def test_a_policy_trains_on_a_recording(training_set, tmp_path):
    result = tmp_path / "result.json"
    words = ["--data", str(training_set), "--out", str(tmp_path / "policy"), "--system", "dd_vla", "--steps", "2"]
    words += ["--threads", "1", "--batch-size", "2", "--image-width", "64", "--image-height", "48", "--width", "24"]
    words += ["--keypoints", "2", "--heads", "3", "--layers", "1", "--json", str(result)]
    assert main(["train", *words]) == 0
    losses = json.loads(result.read_text())["losses"]
    assert np.isfinite(losses["tokens"]) and losses["grounding"] == losses["localising"] == 0.0


def test_a_system_that_reasons_says_why_it_cannot_learn_from_a_recording(training_set, tmp_path, capsys):
    words = ["--data", str(training_set), "--out", str(tmp_path), "--system", "diffusion_vla", "--steps", "2"]
    assert main(["train", *words, "--image-width", "64", "--image-height", "48"]) == 2
    assert "reason=false" in capsys.readouterr().err


def test_statistics_of_a_bag_are_read_by_a_published_policy(bag, training_set, tmp_path):
    out, result = tmp_path / "dataset_statistics.json", tmp_path / "result.json"
    words = ["--out", str(out), "--name", "our_bridge", "--json", str(result)]
    assert main(["stats", str(bag), *words]) == 0
    told = json.loads(result.read_text())
    assert told["usable"] and told["findings"] == [] and told["episodes"] == 3
    assert [stream["lost"] for stream in told["streams"]] == [0, 0, 0]
    read = PrismaticStatistics.read(tmp_path, {}, "")
    data = read_demonstrations([training_set])
    assert read.key == "our_bridge" and read.platform.name == "bridge"
    assert read.action.mean == pytest.approx(data.actions[:, 0].astype(float).mean(0), abs=1e-9)
    assert read.proprio.max == pytest.approx(data.states.max(0))


def test_statistics_of_all_kinds_are_the_same(bag, training_set, tmp_path):
    assert main(["convert", str(bag), "--out", str(tmp_path / "set"), "--to", "lerobot"]) == 0
    blocks = []
    for source in (bag, tmp_path / "set", training_set):
        assert main(["stats", str(source), "--out", str(tmp_path / "s.json"), "--name", "x"]) == 0
        blocks.append(json.loads((tmp_path / "s.json").read_text()))
    assert blocks[0] == blocks[1] == blocks[2]


def silent_camera(from_s, until_s):
    """The messages of an episode in which the front camera says nothing for a while."""
    return [
        (topic, when, message)
        for topic, when, message in messages(1)
        if "front_camera" not in topic or not from_s < when - BEGIN < until_s
    ]


def test_a_hole_divides_an_episode_and_is_told(tmp_path):
    holed = write_bag(tmp_path / "bag", silent_camera(2.0, 3.0))
    source = BagSource([holed], ReadOptions())
    first, second = source.trajectories()
    assert (first.episode, second.episode) == (0, 0) and len(first) + len(second) < 24
    assert any("front" in warning and "left out" in warning for warning in source.warnings)


def test_frames_before_the_first_command_are_told_once_for_all_episodes(bag):
    source = BagSource([bag], ReadOptions(pictures=False))
    frames = sum(len(trajectory) for trajectory in source.trajectories())
    (told,) = (warning for warning in source.warnings if "nothing was commanded" in warning)
    assert "in 3 of 3 episodes" in told and int(told.split()[0]) >= 3 and frames > 3 * 20


def test_bad_recordings_are_told_by_stats(tmp_path):
    unclear = [one for one in messages(1, ("",)) if one[0] != TOPICS.instruction]
    result = tmp_path / "result.json"
    assert main(["stats", str(write_bag(tmp_path / "bag", unclear)), "--json", str(result)]) == 1
    checks = {finding["check"] for finding in json.loads(result.read_text())["findings"]}
    assert checks == {"instruction"}


def test_an_instruction_can_be_given_and_is_needed(tmp_path, capsys):
    unclear = teleoperated_bag(tmp_path / "bag", 1, ("",))
    words = [str(unclear), "--out", str(tmp_path / "set"), *ASIDE]
    assert main(["convert", *words]) == 2
    assert "--instruction" in capsys.readouterr().err
    assert main(["convert", *words, "--instruction", "tidy up"]) == 0
    assert read_demonstrations([tmp_path / "set"]).manifest.instructions == ("tidy up",)


def test_several_bags_are_one_set(bag, tmp_path):
    (tmp_path / "recordings").mkdir()
    for number in range(2):
        (tmp_path / "recordings" / f"bag_{number}").symlink_to(bag)
    result = tmp_path / "result.json"
    assert main(["stats", str(tmp_path / "recordings"), "--json", str(result)]) == 0
    told = json.loads(result.read_text())
    assert told["episodes"] == 6 and len(told["streams"]) == 6


def test_sources_that_do_not_go_together_are_refused(bag, training_set, tmp_path, capsys):
    for words, message in (
        ([str(bag), str(training_set)], "of one kind"),
        ([str(tmp_path)], "neither"),
        (["/nowhere"], "/nowhere"),
        ([], "at least one"),
        ([str(training_set), "--fps", "7"], "7"),
        ([str(bag), "--cameras", "side"], "side"),
        ([str(bag), "--actions", "chunks"], "joint_targets"),
    ):
        assert main(["convert", *words, "--out", str(tmp_path / "set")]) == 2, words
        assert message in capsys.readouterr().err, words


def test_a_bag_without_cameras_is_refused(tmp_path):
    blind = write_bag(tmp_path / "bag", [one for one in messages(1) if "camera" not in one[0]])
    with pytest.raises(RecordingError, match="image_raw"):
        BagSource([blind], ReadOptions())
