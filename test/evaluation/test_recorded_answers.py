"""Requests, chunks, traces and policies of a bag belong together by epoch and sequence."""

from dataclasses import replace

import numpy as np
from recorded_run import CHECKPOINT, rewritten

from dvla_ros.control.alignment_config import AlignmentConfig
from dvla_ros.evaluation.recorded_answers import recorded_answers
from dvla_ros.recordings.bag import Bag
from dvla_ros.recordings.topics import RecordedTopics

CHUNK, TRACE, REQUEST, INFO = (
    f"/policy_node/{name}" for name in ("action_chunk", "denoising_trace", "inference_request", "policy_info")
)


def answers_of(path):
    with Bag(path) as bag:
        found = recorded_answers(bag, RecordedTopics())
        return found, bag.warnings


def test_every_question_has_its_answer_its_tokens_and_its_policy(recorded_bag):
    found, warnings = answers_of(recorded_bag)
    assert len(found.inferences) == len(found.chunks) and found.unmatched == 0 and not warnings
    for inference in found.inferences:
        assert inference.tokens.shape == (56,) and inference.chunk.observation_stamp == inference.anchor
        assert inference.policy.checkpoint == str(CHECKPOINT) and inference.policy.replanning == "inpaint"
    assert found.policies[0].alignment() == AlignmentConfig(camera_latency_s=(0.0,))


def test_what_was_lost_is_counted_or_missing(recorded_bag, tmp_path):
    def lose(topic, message):
        lost = topic == INFO or (topic in (CHUNK, TRACE) and message.sequence % 2)
        return None if lost else message

    found, _ = answers_of(rewritten(recorded_bag, tmp_path / "bag", lose))
    assert found.unmatched > 0 and len(found.inferences) == len(found.chunks)
    assert all(inference.policy is None for inference in found.inferences)


def test_a_chunk_that_is_none_is_left_out_and_said(recorded_bag, tmp_path):
    def cut(topic, message):
        return replace(message, data=np.zeros(3, np.float32)) if topic == CHUNK and message.sequence == 1 else message

    found, warnings = answers_of(rewritten(recorded_bag, tmp_path / "bag", cut))
    assert found.unmatched == 3 and any(CHUNK in warning and "56 numbers" in warning for warning in warnings)


def test_a_question_whose_cameras_and_stamps_do_not_match_is_left_out_and_said(recorded_bag, tmp_path):
    def shorten(topic, message):
        return replace(message, image_stamps=[]) if topic == REQUEST and message.sequence == 1 else message

    whole, _ = answers_of(recorded_bag)
    found, warnings = answers_of(rewritten(recorded_bag, tmp_path / "bag", shorten))
    assert len(whole.inferences) - len(found.inferences) == 3
    assert any(f"A message of {REQUEST} is left out" in warning for warning in warnings)


def test_requests_alone_need_no_trace(recorded_bag, tmp_path):
    bag = rewritten(recorded_bag, tmp_path / "bag", lambda topic, message: None if topic == TRACE else message)
    found, _ = answers_of(bag)
    assert found.inferences and all(inference.tokens is None for inference in found.inferences)
