"""Requests that wait together are one batch, no larger than allowed; nobody is left without an answer."""

import threading
import time

import numpy as np
import pytest

from dvla_ros.control.assembler import AssemblerConfig, ObservationAssembler
from dvla_ros.control.observation import Observation
from dvla_ros.control.replanning import ReplanningConfig
from dvla_ros.errors import ActionError, ConfigurationError, ObservationError
from dvla_ros.nodes.inference_loop import InferenceLoop, LoopSettings
from dvla_ros.nodes.question_queue import QuestionQueue
from dvla_ros.nodes.ticket import Ticket
from dvla_ros.policies.batching import Question
from dvla_ros.policies.load import load_policy
from dvla_ros.policies.request import ChunkRequest
from dvla_ros.policies.token_policy import TokenPolicy

PICTURE = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
TIMEOUT_S = 10.0


def question(seed):
    """Reads a question with this seed."""
    observation = Observation(0.0, {"front": PICTURE, "wrist": PICTURE}, np.zeros(7), "pick up the red cube")
    return lambda spec: Question(observation, ChunkRequest.checked(spec, None, seed, None, None, None))


def unreadable(spec):
    raise ObservationError("joint 'elbow' is missing")


@pytest.fixture(scope="module")
def policy(untrained):
    return load_policy(untrained())


@pytest.fixture
def batches(monkeypatch):
    """The sizes of the batches that a token policy is asked."""
    sizes, inner = [], TokenPolicy._answers
    monkeypatch.setattr(TokenPolicy, "_answers", lambda self, asked: sizes.append(len(asked)) or inner(self, asked))
    return sizes


def test_those_that_wait_are_answered_together_the_oldest_first(policy, batches):
    queue, answers = QuestionQueue(max_batch=3), {}
    for seed in range(5):
        queue.add(question(seed), lambda answer, seed=seed: answers.update({seed: answer}))
    queue.answer(policy)
    assert (sorted(answers), len(queue), batches) == ([0, 1, 2], 2, [3])
    queue.answer(policy)
    assert (len(answers), len(queue), batches) == (5, 0, [3, 2])
    (alone,) = [policy.predict(question(4)(policy.spec).observation, seed=4)]
    assert (answers[4].tokens == alone.tokens).all()


def test_a_batch_is_due_at_once_or_after_the_wait_or_once_it_is_full():
    at_once, waiting = QuestionQueue(2), QuestionQueue(2, wait_s=60.0)
    assert at_once.due_in() is None
    at_once.add(unreadable, print)
    assert at_once.due_in() <= 0.0
    waiting.add(unreadable, print)
    assert 0.0 < waiting.due_in() <= 60.0
    waiting.add(unreadable, print)
    assert waiting.due_in() == 0.0


def test_what_cannot_be_read_is_the_answer_of_its_own_request(policy):
    queue, answers = QuestionQueue(3), []
    for read in (question(1), unreadable, lambda spec: {}["nothing"]):
        queue.add(read, answers.append)
    queue.answer(policy)
    wrong, strange, chunk = answers
    assert isinstance(wrong, ObservationError) and "elbow" in str(wrong)
    assert isinstance(strange, ActionError) and "KeyError" in str(strange)
    assert chunk.actions.shape == (8, 7)


def test_a_fault_in_the_policy_is_told_to_all_who_asked(policy, monkeypatch):
    queue, answers = QuestionQueue(2), []
    monkeypatch.setattr(TokenPolicy, "predict_batch", lambda *given: 1 / 0)
    for seed in range(2):
        queue.add(question(seed), answers.append)
    queue.answer(policy)
    assert len(answers) == 2 and all("ZeroDivisionError" in str(answer) for answer in answers)


def test_who_waits_when_the_node_stops_is_told_so():
    queue, answers = QuestionQueue(1), []
    for _ in range(3):
        queue.add(unreadable, answers.append)
    queue.refuse("it stops")
    assert [str(answer) for answer in answers] == ["it stops"] * 3 and len(queue) == 0


@pytest.mark.parametrize("wrong", [{"max_batch": 0}, {"wait_s": -1.0}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigurationError, match="max_batch must be 1 or more"):
        QuestionQueue(**wrong)


class Nothing:
    def publish(self, inference):
        raise AssertionError("nothing is followed")

    def report(self, problem):
        raise AssertionError(problem)


@pytest.fixture
def loop_of(policy):
    """Starts a loop with settings; it is stopped at the end."""
    loops = []

    def start(**settings):
        assembler = ObservationAssembler(AssemblerConfig(), lambda payload: payload, lambda joints: np.zeros(7))
        timing = LoopSettings(ReplanningConfig(mode="sync"), **settings)
        loops.append(InferenceLoop(policy, assembler, timing, time.monotonic, Nothing(), 1))
        loops[-1].start()
        return loops[-1]

    yield start
    for loop in loops:
        loop.stop()


def test_requests_that_come_while_the_policy_is_busy_become_one_batch(loop_of, batches):
    loop, busy, tickets = loop_of(max_batch=4), threading.Event(), [Ticket() for _ in range(4)]
    loop.request(lambda policy: busy.wait(TIMEOUT_S))
    for seed, ticket in enumerate(tickets):
        loop.ask(question(seed), ticket.fill)
    busy.set()
    assert all(ticket.wait(TIMEOUT_S) for ticket in tickets)
    assert batches == [4]


def test_a_request_may_wait_for_another(loop_of, batches):
    loop, first, second = loop_of(max_batch=2, batch_wait_s=30.0), Ticket(), Ticket()
    loop.ask(question(1), first.fill)
    assert not first.wait(0.05)
    loop.ask(question(2), second.fill)
    assert first.wait(TIMEOUT_S) and second.wait(TIMEOUT_S)
    assert batches == [2]


def test_a_loop_that_has_stopped_refuses(loop_of):
    loop, early, late = loop_of(max_batch=2, batch_wait_s=30.0), Ticket(), Ticket()
    loop.ask(question(1), early.fill)
    loop.stop()
    loop.ask(question(2), late.fill)
    assert early.wait(TIMEOUT_S) and "not active" in str(early.value) and "not active" in str(late.value)
