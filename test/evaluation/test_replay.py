"""A policy that is asked again answers as recorded, and what cannot be compared is counted and said."""

from dataclasses import replace

import numpy as np
import pytest
from recorded_run import CHECKPOINT, RunPlan, record_run, rewritten

from dvla_ros.control.replanning import ReplanningConfig
from dvla_ros.control.widowx_streams import stamp_seconds
from dvla_ros.evaluation.compared_policy import compared_policies
from dvla_ros.evaluation.recorded_answers import recorded_answers
from dvla_ros.evaluation.replay import ReplayFigures, not_comparable, replay
from dvla_ros.recordings.bag import Bag
from dvla_ros.recordings.topics import RecordedTopics

TOPICS = RecordedTopics()
pytestmark = pytest.mark.timeout(300)  # the first one records


def cut_short(inference):
    """The inference as it would be recorded had the deadline ended it after one step."""
    chunk = replace(inference.chunk, decided_steps=2)
    return replace(inference, nfe=1, chunk=chunk, ask=replace(inference.ask, deadline_s=0.1, needed_steps=None))


@pytest.fixture(scope="module")
def shipped():
    (compared,) = compared_policies([CHECKPOINT])
    return compared, compared.load()


def asked_again(bag_path, shipped, change=lambda inference: inference, count=None):
    """The first `count` inferences of a bag, changed and asked again."""
    compared, policy = shipped
    with Bag(bag_path) as bag:
        inferences = [change(inference) for inference in recorded_answers(bag, TOPICS).inferences[:count]]
        return replay(bag, TOPICS, inferences, compared, policy)


def test_a_policy_repeats_its_own_recording_exactly(recorded_bag, shipped):
    found = asked_again(recorded_bag, shipped)
    assert found.count >= 15 and found.observations_identical == found.count
    assert found.max_state_error == 0.0 and found.max_action_error == 0.0 and found.differing_chunks == 0
    assert found.tokens == found.count * 56 and found.token_differences == 0
    assert found.exact and not found.not_comparable


def test_rows_that_were_frozen_are_part_of_the_question(recorded_bag):
    with Bag(recorded_bag) as bag:
        inferences = recorded_answers(bag, TOPICS).inferences
    frozen = [inference for inference in inferences if len(inference.ask.frozen)]
    assert len(frozen) > len(inferences) // 2
    assert all((i.ask.frozen == i.chunk.actions[: len(i.ask.frozen)]).all() for i in frozen)


def test_a_guess_is_part_of_the_question(tmp_path, shipped):
    plan = RunPlan((("pick_red", 3),), seconds=2.0, replanning=ReplanningConfig(warm_start=True))
    bag_path = record_run(tmp_path / "bag", plan)
    assert asked_again(bag_path, shipped).exact
    without = asked_again(bag_path, shipped, lambda i: replace(i, ask=replace(i.ask, guess=None)))
    assert without.differing_chunks > 0 and not without.exact


def test_another_seed_is_another_answer(recorded_bag, shipped):
    found = asked_again(recorded_bag, shipped, lambda inference: replace(inference, seed=inference.seed + 1), 5)
    assert found.differing_chunks > 0 and found.token_differences > 0 and found.max_action_error > 0.0
    assert found.observations_identical == found.count and not found.exact


def test_a_picture_that_was_changed_is_noticed(recorded_bag, shipped, tmp_path):
    def darker(topic, message):
        if topic != "/front_camera/image_raw":
            return message
        return replace(message, data=(message.data // 2).astype(np.uint8))

    found = asked_again(rewritten(recorded_bag, tmp_path / "bag", darker), shipped, count=5)
    assert found.count == 5 and found.observations_identical == 0 and found.max_state_error == 0.0
    assert not found.exact


def test_a_joint_state_that_the_recorder_missed_is_made_good_by_the_recorded_state(recorded_bag, shipped, tmp_path):
    with Bag(recorded_bag) as bag:
        moving = recorded_answers(bag, TOPICS).inferences[3].anchor

    def missed(topic, message):
        lost = topic == TOPICS.joint_states and abs(stamp_seconds(message.header.stamp) - moving) < 0.015
        return None if lost else message

    found = asked_again(rewritten(recorded_bag, tmp_path / "bag", missed), shipped, count=5)
    assert found.exact and found.count == 5 and found.by_stamp == 1
    assert 0.0 < found.max_state_error < 0.01


def test_a_frame_that_the_recorder_missed_is_no_identical_observation(recorded_bag, shipped, tmp_path):
    with Bag(recorded_bag) as bag:
        taken = recorded_answers(bag, TOPICS).inferences[3].image_stamps["front"]

    def missed(topic, message):
        front = topic == "/front_camera/image_raw"
        return None if front and stamp_seconds(message.header.stamp) == taken else message

    found = asked_again(rewritten(recorded_bag, tmp_path / "bag", missed), shipped, count=5)
    assert (found.count, found.observations_identical, found.by_stamp) == (5, 4, 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda i: replace(i, policy=None), "does not say which policy"),
        (lambda i: replace(i, policy=replace(i.policy, fingerprint="0" * 16)), "another checkpoint"),
        (lambda i: replace(i, policy=replace(i.policy, deployment="dt: 0.1")), "another deployment"),
        (lambda i: replace(i, policy=replace(i.policy, parameters={"cache": "dllm:9,3,0.5"})), "cache (dllm:9,3,0.5)"),
        (lambda i: replace(i, policy=replace(i.policy, parameters={"cache": "of tomorrow"})), "cache (of tomorrow)"),
        (lambda i: replace(i, policy=replace(i.policy, parameters={"weights": "int8"})), "another way (int8)"),
        (lambda i: replace(i, policy=replace(i.policy, parameters={"replanning": "temporal_ensemble"})), "mean of"),
        (lambda i: replace(i, policy=replace(i.policy, parameters={"device": "cuda"})), "another kind of device"),
        (cut_short, "cut short by the deadline"),
        (lambda i: replace(i, anchor=i.anchor + 100.0), "cannot be rebuilt"),
    ],
)
def test_what_cannot_be_compared_is_counted_with_the_reason(recorded_bag, shipped, change, reason):
    first: list = []

    def only_the_first(inference):
        first.append(inference)
        return change(inference) if len(first) == 1 else replace(inference, policy=None)

    if reason != "cannot be rebuilt":
        found = asked_again(recorded_bag, shipped, only_the_first)
    else:
        with Bag(recorded_bag) as bag:
            last = recorded_answers(bag, TOPICS).inferences[-1]
            found = replay(bag, TOPICS, [change(last)], *shipped)
    assert found.count == 0
    assert sum(count for words, count in found.not_comparable.items() if reason in words) >= 1


def test_another_decoder_is_not_compared(recorded_bag):
    (compared,) = compared_policies([CHECKPOINT], ["num_steps=2"])
    with Bag(recorded_bag) as bag:
        inference = recorded_answers(bag, TOPICS).inferences[0]
    assert "another decoder" in not_comparable(inference, compared, compared.fingerprint())


def test_figures_of_several_bags_are_joined():
    one = ReplayFigures(2, 2, 0.0, 0.0, 0, 112, 0, {"a": 1})
    both = one.joined(ReplayFigures(1, 0, 0.1, 0.5, 1, 56, 3, {"a": 2, "b": 1}, 1))
    assert both == ReplayFigures(3, 2, 0.1, 0.5, 1, 168, 3, {"a": 3, "b": 1}, 1)
    assert one.exact and not both.exact and not ReplayFigures().exact
    assert one.joined(ReplayFigures()) == one
