"""Reads all inferences of a bag: what was asked, what was answered, and by what."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dvla_ros.control.chunk import ActionChunk
from dvla_ros.control.chunk_message import chunk_from_message
from dvla_ros.errors import DvlaError
from dvla_ros.evaluation.recorded_inference import RecordedInference, inference_from_message
from dvla_ros.evaluation.recorded_policy import RecordedPolicy, newest, policy_from_message
from dvla_ros.recordings.bag import Bag, RecordedMessage
from dvla_ros.recordings.topics import RecordedTopics


@dataclass
class RecordedAnswers:
    """All inferences of a bag.

    Attributes:
        inferences: In order of their anchors.
        policies: In order of recording.
        chunks: All chunks in order of recording, those without a request too.
        unmatched: Requests whose chunk was not recorded.
    """

    inferences: list[RecordedInference] = field(default_factory=list)
    policies: list[RecordedPolicy] = field(default_factory=list)
    chunks: list[ActionChunk] = field(default_factory=list)
    unmatched: int = 0


def recorded_answers(bag: Bag, topics: RecordedTopics) -> RecordedAnswers:
    """Read requests, chunks, traces and policies of a bag in one pass; each topic may be missing.

    What cannot be read is added to the bag's warnings.
    """
    parts = _Parts()
    take = {
        topics.policy_info: ("PolicyInfo", parts.take_policy),
        topics.action_chunk: ("ActionChunk", parts.take_chunk),
        topics.denoising_trace: ("DenoisingTrace", parts.take_trace),
        topics.inference_request: ("InferenceRequest", parts.take_request),
    }
    known = [topic for topic, (kind, _) in take.items() if bag.topics.get(topic) == f"dvla_ros/msg/{kind}"]
    for recorded in bag.messages(known):
        try:
            take[recorded.topic][1](recorded)
        except (DvlaError, ValueError) as error:
            bag.warn(f"A message of {recorded.topic} is left out: {error}")
    answers = RecordedAnswers(policies=parts.policies, chunks=[chunk for chunk, _ in parts.chunks.values()])
    for received, message in parts.requests:
        key = _key(message)
        if key not in parts.chunks:
            answers.unmatched += 1
            continue
        policy = newest(parts.policies, received)
        try:
            inference = inference_from_message(message, *parts.chunks[key], parts.tokens.get(key), policy)
        except ValueError as error:
            bag.warn(f"A message of {topics.inference_request} is left out: {error}")
            continue
        answers.inferences.append(inference)
    answers.inferences.sort(key=lambda inference: inference.anchor)
    return answers


@dataclass
class _Parts:
    """What has been read so far; by epoch and sequence."""

    policies: list[RecordedPolicy] = field(default_factory=list)
    requests: list[tuple[float, Any]] = field(default_factory=list)
    chunks: dict[tuple[int, int], tuple[ActionChunk, int]] = field(default_factory=dict)
    tokens: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)

    def take_policy(self, recorded: RecordedMessage) -> None:
        self.policies.append(policy_from_message(recorded.message, recorded.received))

    def take_chunk(self, recorded: RecordedMessage) -> None:
        self.chunks[_key(recorded.message)] = chunk_from_message(recorded.message), int(recorded.message.nfe)

    def take_trace(self, recorded: RecordedMessage) -> None:
        self.tokens[_key(recorded.message)] = _last_tokens(recorded.message)

    def take_request(self, recorded: RecordedMessage) -> None:
        self.requests.append((recorded.received, recorded.message))


def _key(message: Any) -> tuple[int, int]:
    return int(message.epoch), int(message.sequence)


def _last_tokens(message: Any) -> np.ndarray:
    steps = int(message.num_steps)
    tokens = np.asarray(message.tokens, np.int32)
    last: np.ndarray = tokens.reshape(steps, -1)[-1].copy() if steps else tokens
    return last
