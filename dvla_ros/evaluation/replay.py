"""Recorded inferences asked again: the same policy, observation, question and seed must give the same answer."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np
import torch

from dvla_ros.control.assembler import ObservationAssembler
from dvla_ros.control.observation import Observation
from dvla_ros.errors import ConfigurationError, ObservationError
from dvla_ros.evaluation.compared_policy import ComparedPolicy
from dvla_ros.evaluation.recorded_inference import RecordedInference
from dvla_ros.evaluation.recorded_policy import RecordedPolicy
from dvla_ros.policies.answering import predict_for
from dvla_ros.policies.base import Policy, Prediction
from dvla_ros.recordings.bag import Bag
from dvla_ros.recordings.observations import assembled, require_cover
from dvla_ros.recordings.topics import RecordedTopics


@dataclass(frozen=True)
class ReplayFigures:
    """How the answers of today compare with the recorded ones.

    Attributes:
        count: Inferences that were asked again and compared.
        observations_identical: Of them, those whose observation came out of the recording byte for byte.
        by_stamp: Of those, for how many it took the recorded stamps of the images and the recorded state: the
            recording has a frame or a joint state that the policy did not get, or the other way round.
        max_state_error: Largest difference of a number of the state vector (m, rad, 0..1); NaN where nothing was
            compared.
        max_action_error: Largest difference of a number of a chunk, in physical units; NaN where nothing was compared.
        differing_chunks: Chunks with any difference.
        tokens: Tokens of the canvases that were compared, all positions of the last denoising step.
        token_differences: Of them, those that are not the same.
        not_comparable: How many inferences were not compared, by reason.
    """

    count: int = 0
    observations_identical: int = 0
    max_state_error: float = float("nan")
    max_action_error: float = float("nan")
    differing_chunks: int = 0
    tokens: int = 0
    token_differences: int = 0
    not_comparable: Mapping[str, int] = field(default_factory=dict)
    by_stamp: int = 0

    @property
    def exact(self) -> bool:
        """Whether something was compared, and nothing differed."""
        same = self.observations_identical == self.count and self.differing_chunks == self.token_differences == 0
        return self.count > 0 and same

    def joined(self, other: "ReplayFigures") -> "ReplayFigures":
        """Of the inferences of both."""
        return ReplayFigures(
            count=self.count + other.count,
            observations_identical=self.observations_identical + other.observations_identical,
            max_state_error=float(np.fmax(self.max_state_error, other.max_state_error)),
            max_action_error=float(np.fmax(self.max_action_error, other.max_action_error)),
            differing_chunks=self.differing_chunks + other.differing_chunks,
            tokens=self.tokens + other.tokens,
            token_differences=self.token_differences + other.token_differences,
            not_comparable=dict(Counter(self.not_comparable) + Counter(other.not_comparable)),
            by_stamp=self.by_stamp + other.by_stamp,
        )


def replay(
    bag: Bag,
    topics: RecordedTopics,
    inferences: Sequence[RecordedInference],
    compared: ComparedPolicy,
    policy: Policy,
) -> ReplayFigures:
    """Ask a policy again what was asked when the bag was recorded.

    Args:
        bag: The recording, open.
        topics: Names of its topics.
        inferences: What was asked and answered.
        compared: Which policy `policy` is.
        policy: Loaded; asked without a deadline.

    Raises:
        RecordingError: The bag lacks a stream that the policy saw.
    """
    fingerprint, tally = compared.fingerprint(), _Tally()
    askable = []
    for inference in inferences:
        reason = not_comparable(inference, compared, fingerprint)
        if reason:
            tally.not_comparable[reason] += 1
        else:
            askable.append(inference)
    for recorded, group in _by_policy(askable):
        with _threads(recorded.cpu_threads):
            _replay_group(bag, topics, recorded, group, policy, tally)
    return tally.figures()


def not_comparable(inference: RecordedInference, compared: ComparedPolicy, fingerprint: str) -> str:
    """Why a policy cannot be expected to answer as recorded; "" where it can.

    Args:
        inference: What was asked and answered.
        compared: The policy that would be asked.
        fingerprint: Of its checkpoint.
    """
    recorded = inference.policy
    if recorded is None:
        return "the recording does not say which policy answered (no /policy_node/policy_info)"
    if recorded.fingerprint != fingerprint:
        return f"another checkpoint answered ({recorded.checkpoint}, fingerprint {recorded.fingerprint})"
    if compared.decoding:
        return "another decoder answered (the checkpoint's own)"
    if recorded.deployment.strip() != _deployment(compared):
        return "the policy was used with another deployment file"
    if cache := _other_cache(recorded, compared):
        return f"the policy was used with another cache ({cache})"
    weights = recorded.parameters.get("weights")
    if weights and weights != compared.weights:
        return f"the policy held its weights in another way ({weights})"
    if recorded.replanning == "temporal_ensemble":
        return "the published chunk is a mean of several answers (temporal_ensemble)"
    device = str(recorded.parameters.get("device", compared.device))
    if device.split(":", maxsplit=1)[0] != compared.device.split(":")[0]:
        return f"the policy ran on another kind of device ({device})"
    return ""


@dataclass
class _Tally:
    """What has been compared so far."""

    count: int = 0
    identical: int = 0
    state_errors: list[float] = field(default_factory=list)
    action_errors: list[float] = field(default_factory=list)
    tokens: int = 0
    token_differences: int = 0
    not_comparable: Counter[str] = field(default_factory=Counter)
    by_stamp: int = 0

    def add(self, inference: RecordedInference, seen: "_Seen", prediction: Prediction) -> None:
        if _was_cut_short(inference) and inference.nfe < prediction.nfe:
            self.not_comparable["its decoding was cut short by the deadline"] += 1
            return
        self.count += 1
        identical = seen.observation.crc == inference.crc
        self.identical += identical
        self.by_stamp += identical and seen.by_stamp
        self.state_errors.append(_largest(seen.state - inference.state))
        self.action_errors.append(_largest(prediction.actions - inference.chunk.actions))
        if inference.tokens is not None and prediction.trace:
            tokens = np.ravel(prediction.trace[-1].tokens)
            self.tokens += tokens.size
            same_size = tokens.size == inference.tokens.size
            self.token_differences += int((tokens != inference.tokens).sum()) if same_size else tokens.size

    def figures(self) -> ReplayFigures:
        return ReplayFigures(
            count=self.count,
            observations_identical=self.identical,
            max_state_error=max(self.state_errors, default=float("nan")),
            max_action_error=max(self.action_errors, default=float("nan")),
            differing_chunks=sum(error != 0.0 for error in self.action_errors),
            tokens=self.tokens,
            token_differences=self.token_differences,
            not_comparable=dict(self.not_comparable),
            by_stamp=self.by_stamp,
        )


@dataclass(frozen=True)
class _Seen:
    """An observation out of the recording.

    Attributes:
        observation: What the policy is asked about.
        state: As the alignment gave it.
        by_stamp: Whether images were taken by their recorded stamps, and the state as it was recorded.
    """

    observation: Observation
    state: np.ndarray
    by_stamp: bool


def _seen(assembler: ObservationAssembler, inference: RecordedInference) -> _Seen:
    """What the policy saw: by the alignment that it used; where that gives something else, by what it said it saw.

    Raises:
        ObservationError: The recording does not have it.
    """
    require_cover(assembler, inference.anchor)
    assembler.set_instruction(inference.instruction)
    aligned = assembler.observe(inference.anchor)
    if aligned.crc == inference.crc:
        return _Seen(aligned, aligned.state, False)
    try:
        found = assembler.observe(inference.anchor, inference.image_stamps)
    except ObservationError:
        return _Seen(aligned, aligned.state, False)
    return _Seen(replace(found, state=inference.state), aligned.state, True)


def _was_cut_short(inference: RecordedInference) -> bool:
    """Whether the rows that had to be decided were not, and there was a deadline."""
    chunk, needed = inference.chunk, inference.ask.needed_steps
    decided = chunk.horizon if chunk.decided_steps is None else chunk.decided_steps
    return inference.ask.deadline_s is not None and decided < (chunk.horizon if needed is None else needed)


def _largest(difference: np.ndarray) -> float:
    """Largest magnitude; infinity where numbers are missing on one side."""
    magnitude = np.abs(difference).max(initial=0.0)
    return float(magnitude) if np.isfinite(magnitude) else float("inf")


def _replay_group(
    bag: Bag,
    topics: RecordedTopics,
    recorded: RecordedPolicy,
    inferences: Sequence[RecordedInference],
    policy: Policy,
    tally: _Tally,
) -> None:
    topics = replace(topics, cameras=inferences[0].cameras)
    anchors = [inference.anchor for inference in inferences]
    epoch = None
    for inference, (_, assembler) in zip(
        inferences, assembled(bag, topics, recorded.alignment(), anchors), strict=True
    ):
        try:
            seen = _seen(assembler, inference)
        except ObservationError:
            tally.not_comparable["its observation cannot be rebuilt from the recording"] += 1
            continue
        if inference.chunk.epoch != epoch:
            epoch = inference.chunk.epoch
            policy.reset()
        ask = replace(inference.ask, deadline_s=None)
        tally.add(inference, seen, predict_for(policy, seen.observation, ask, inference.seed))


def _by_policy(
    inferences: Iterable[RecordedInference],
) -> Iterator[tuple[RecordedPolicy, list[RecordedInference]]]:
    """Neighbours that the same node answered about the same cameras."""
    for _, group in groupby(inferences, key=lambda inference: (id(inference.policy), inference.cameras)):
        found = list(group)
        if found[0].policy is not None:
            yield found[0].policy, found


def _deployment(compared: ComparedPolicy) -> str:
    return compared.deployment.read_text(encoding="utf-8").strip() if compared.deployment is not None else ""


def _other_cache(recorded: RecordedPolicy, compared: ComparedPolicy) -> str:
    """The cache that was used then, where it is not that of today; "" where it is."""
    then = str(recorded.parameters.get("cache", ""))
    try:
        plan = compared.cache_plan(then)
    except ConfigurationError:  # of a later version
        return then
    return "" if plan == compared.cache_plan(compared.cache) else str(plan)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """As many threads as the policy had: another number may round otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
