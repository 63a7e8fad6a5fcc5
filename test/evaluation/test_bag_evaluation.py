"""Policies on a recording of a real policy in the real simulation: what is right, and what was made wrong, shows."""

from pathlib import Path

import pytest
from recorded_run import CHECKPOINT, rewritten

from dvla_ros.errors import RecordingError
from dvla_ros.evaluation.bag_evaluation import BagEvaluation, EvaluationPlan
from dvla_ros.evaluation.compared_policy import compared_policies
from dvla_ros.evaluation.prepared_bag import ReadingPlan

pytestmark = pytest.mark.timeout(300)  # the first one records
SPARSE = ReadingPlan(every_s=0.6)


def evaluated(bags, checkpoints=(CHECKPOINT,), decodings=(), **plan):
    """The result for some bags; questions 0.6 s apart, two denoising steps, to be quick."""
    policies = compared_policies(checkpoints, decodings or ("num_steps=2",))
    settings = {"reading": SPARSE, "replay": False, "bootstrap": 200} | plan
    return BagEvaluation(EvaluationPlan(tuple(bags), **settings), policies).run({})


@pytest.fixture(scope="module")
def own(recorded_bag):
    return evaluated([recorded_bag])


def test_episodes_are_those_that_were_driven(own):
    assert [episode.instruction for episode in own.episodes] == [
        "pick up the red cube",
        "pick up the blue cube",
        "pick up the green cube",
    ]
    assert {episode.split_by for episode in own.episodes} == {"run"}
    assert all("ActionChunk EE_DELTA" in episode.actions for episode in own.episodes)


def test_a_good_recording_gives_figures_without_a_word_about_clocks_or_conventions(own):
    figures = own.variants[0].figures
    assert figures.episodes == 3 and figures.steps >= 15
    assert figures.gripper_accuracy > 0.6 and figures.direction > 0.3
    assert all(abs(offset.offset_s) < 0.05 for offset in figures.offsets) and len(figures.offsets) == 2
    assert not [warning for warning in own.warnings if "convention" in warning or "shows motion" in warning]


def test_a_worse_checkpoint_has_a_larger_error_and_the_intervals_lie_apart(recorded_bag, worse):
    result = evaluated([recorded_bag], [CHECKPOINT, worse])
    good, bad = result.variants
    assert bad.figures.intervals.mae.low > good.figures.intervals.mae.high
    assert bad.figures.normalised_error > good.figures.normalised_error
    assert bad.mae_difference == pytest.approx(bad.figures.mae - good.figures.mae)
    assert bad.mae_difference_interval.low > 0.0


def test_a_wrong_gripper_convention_shows_in_the_accuracy_and_is_said(inverted_gripper_bag):
    result = evaluated([inverted_gripper_bag])
    assert result.variants[0].figures.gripper_accuracy < 0.4
    assert any("gripper convention looks inverted" in warning for warning in result.warnings)


def test_a_camera_that_is_late_shows_in_its_offset_and_is_said(late_pictures_bag):
    result = evaluated([late_pictures_bag])
    for offset in result.variants[0].figures.offsets:
        assert offset.reliable and offset.offset_s == pytest.approx(0.2, abs=0.03)
    assert sum("later than the joint states report it" in warning for warning in result.warnings) == 2


def test_the_latency_that_is_named_takes_the_offset_away(late_pictures_bag):
    result = evaluated([late_pictures_bag], reading=ReadingPlan(every_s=1.0, camera_latency_s=(0.2,)))
    assert all(abs(offset.offset_s) < 0.03 for offset in result.variants[0].figures.offsets)


def test_a_bag_without_a_camera_is_refused_with_the_topic(recorded_bag, tmp_path):
    def without_wrist(topic, message):
        return None if topic.startswith("/wrist_camera/image") or topic.startswith("/front") else message

    bag = rewritten(recorded_bag, tmp_path / "bag", without_wrist)
    with pytest.raises(RecordingError, match="/front_camera/image_raw"):
        evaluated([bag])


def test_a_broken_bag_is_evaluated_as_far_as_it_goes_and_that_is_said(recorded_bag, tmp_path):
    whole = next(Path(recorded_bag).glob("*.mcap")).read_bytes()
    broken = tmp_path / "broken.mcap"
    broken.write_bytes(whole[: len(whole) * 6 // 10])
    result = evaluated([broken])
    assert 1 <= len(result.episodes) <= 2 and result.variants[0].figures.steps >= 6
    assert result.warnings and str(broken) in result.warnings[0]


def test_pictures_are_kept_with_the_paths_of_what_was_recorded_and_predicted(own):
    assert {picture.camera for picture in own.strip} == {"front", "wrist"}
    paths = [picture.paths for picture in own.strip]
    assert all(set(found) == {"recorded", own.variants[0].name} for found in paths if found)
    assert sum(bool(found) for found in paths) >= len(paths) // 2
    assert all(picture.picture.shape[1] <= 240 for picture in own.strip)


def test_at_most_so_many_episodes_are_evaluated(recorded_bag):
    result = evaluated([recorded_bag], max_episodes=1, reading=ReadingPlan(every_s=1.0))
    assert len(result.episodes) == 1 and result.variants[0].figures.episodes == 1


def test_an_evaluation_can_be_repeated(own, recorded_bag):
    again = evaluated([recorded_bag])
    assert again.variants[0].figures.mae == own.variants[0].figures.mae
    assert again.variants[0].figures.intervals == own.variants[0].figures.intervals
