"""The n-th example follows from the seed and n, and every share of a batch is part of one whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.errors import ConfigurationError
from dvla_ros.training.draws import Use, draws
from dvla_ros.training.example_order import BatchShare, ExampleOrder, StepSampler

SMALL = st.integers(1, 5)
SEEDS = st.integers(0, 2**63)


@given(st.integers(1, 40), SEEDS, st.integers(0, 5))
def test_every_epoch_shows_every_frame_once(frames, seed, epoch):
    rows = ExampleOrder(frames, seed).rows(np.arange(epoch * frames, (epoch + 1) * frames))
    assert sorted(rows) == list(range(frames))


@given(st.integers(1, 20), SEEDS, st.lists(st.integers(0, 100), max_size=10))
def test_a_number_s_frame_does_not_depend_on_what_was_asked_before(frames, seed, numbers):
    order = ExampleOrder(frames, seed)
    together = order.rows(np.array(numbers, np.int64))
    assert together.tolist() == [int(ExampleOrder(frames, seed).rows(np.array([n]))[0]) for n in numbers]


def test_epochs_and_seeds_have_orders_of_their_own():
    first, second = ExampleOrder(50, 3).rows(np.arange(100)).reshape(2, 50)
    other = ExampleOrder(50, 4).rows(np.arange(50))
    assert (first != second).any() and (first != other).any()


def test_the_order_is_the_one_that_saved_runs_were_begun_with():
    """Fails where the way to draw has changed, and with it what a resumed run sees."""
    assert ExampleOrder(10, 7).rows(np.arange(12)).tolist() == [6, 3, 9, 1, 2, 0, 5, 7, 8, 4, 1, 9]


@given(SMALL, SMALL, SMALL, st.integers(0, 4))
def test_the_shares_of_a_step_make_up_its_numbers_in_order(batch, processes, accumulation, step):
    shares = [BatchShare(batch, processes, process, accumulation) for process in range(processes)]
    numbers = [n for m in range(accumulation) for share in shares for n in share.numbers(step, m)]
    whole = shares[0].global_batch
    assert numbers == list(range(step * whole, (step + 1) * whole))


@given(SMALL, SMALL, st.integers(0, 4))
def test_processes_and_accumulation_divide_the_same_batch(batch, parts, step):
    alone = set(BatchShare(batch * parts).numbers(step, 0))
    among = {n for p in range(parts) for n in BatchShare(batch, parts, p).numbers(step, 0)}
    one_by_one = {n for m in range(parts) for n in BatchShare(batch, accumulation=parts).numbers(step, m)}
    assert alone == among == one_by_one


@given(SMALL, SMALL, st.integers(0, 6), st.integers(0, 6))
def test_a_run_that_goes_on_sees_the_rest(batch, accumulation, steps, done):
    share = BatchShare(batch, 2, 1, accumulation)
    whole, rest = StepSampler(share, steps + done), StepSampler(share, steps + done, done)
    assert list(rest) == list(whole)[done * accumulation :]
    assert len(rest) == len(list(rest))


@given(SEEDS, st.integers(0, 2**63))
def test_draws_follow_from_seed_number_and_use(seed, number):
    first = draws(seed, number, Use.LIGHT).random(4)
    assert (first == draws(seed, number, Use.LIGHT).random(4)).all()
    others = [draws(seed + 1, number, Use.LIGHT), draws(seed, number + 1, Use.LIGHT), draws(seed, number, Use.SENTENCE)]
    assert all((first != other.random(4)).all() for other in others)


@pytest.mark.parametrize("wrong", [(0,), (2, 0), (2, 1, 1), (2, 2, -1), (2, 1, 0, 0)])
def test_shares_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigurationError, match="BatchShare"):
        BatchShare(*wrong)


def test_a_step_beyond_the_run_and_an_empty_set_are_refused():
    with pytest.raises(ConfigurationError, match="first_step must be 0 to 4"):
        StepSampler(BatchShare(2), 4, 5)
    with pytest.raises(ConfigurationError, match="got 0, seed 1"):
        ExampleOrder(0, 1)
