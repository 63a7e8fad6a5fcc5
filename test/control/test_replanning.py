import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.replanning import MODES, Answer, ChunkLayout, Replanner, ReplanningConfig
from dvla_ros.errors import ConfigurationError

DT, HORIZON, STEPS = 0.2, 8, 3
NAMES = ("dx", "dy", "dz", "droll", "dpitch", "dyaw", "gripper")
LAYOUT = ChunkLayout(DT, HORIZON, STEPS, ControlMode.EE_DELTA, NAMES)


def replanner(mode, **settings):
    made = Replanner(ReplanningConfig(mode=mode, **{"lead_s": 0.0, "tracking_lag_s": 0.0, **settings}), LAYOUT)
    made.start(epoch=7, now=0.0)
    return made


def answer(value=0.0, decided=HORIZON):
    rows = np.full((HORIZON, len(NAMES)), value, np.float32)
    return Answer(rows + np.arange(HORIZON, dtype=np.float32)[:, None], np.full_like(rows, 0.5), decided)


def replan(made, delay, value=0.0, at=None):
    """Look as soon as the replanner wants to, infer for `delay` seconds; the ask and the chunk."""
    look = made.look_at(0.0 if at is None else at)
    ask = made.ask(look, look)
    return ask, made.chunk(ask, answer(value), look, look + delay)


def test_sync_looks_when_the_executed_rows_are_over_and_the_arm_has_settled():
    made = replanner("sync", settle_s=0.1, lead_s=0.02)

    ask, chunk = replan(made, delay=0.15)

    assert len(ask.frozen) == 0
    assert chunk.stamp == pytest.approx(0.17)
    assert (chunk.execute_steps, chunk.execute_reserve) == (STEPS, False)
    assert made.look_at(0.2) == pytest.approx(0.17 + STEPS * DT + 0.1)


@pytest.mark.parametrize("mode", ["async", "inpaint", "temporal_ensemble"])
def test_a_moving_arm_is_looked_at_when_a_row_begins(mode):
    made = replanner(mode, tracking_lag_s=0.05)

    _, chunk = replan(made, delay=0.1)
    look = made.look_at(0.1)

    rows = (look - 0.05 - chunk.stamp) / DT
    assert rows == pytest.approx(round(rows))
    assert chunk.execute_reserve


def test_rows_that_are_executed_during_inference_are_frozen():
    made = replanner("inpaint")
    _, first = replan(made, delay=0.4)

    ask, second = replan(made, delay=0.4, value=100.0, at=0.4)

    assert len(ask.frozen) == 2
    assert np.array_equal(ask.frozen, first.actions[STEPS : STEPS + 2])
    assert second.stamp == pytest.approx(first.stamp + STEPS * DT)
    assert second.frozen_steps == 2


@given(st.floats(0.0, 0.99))
def test_enough_rows_are_frozen_for_the_delay_that_was_measured(delay):
    made = replanner("inpaint", lead_s=0.01)
    replan(made, delay)

    ask, chunk = replan(made, delay, at=delay)

    first_free = chunk.stamp + len(ask.frozen) * DT
    assert first_free >= ask.began + delay + 0.01 - 1e-6
    assert first_free < ask.began + delay + 0.01 + DT + 1e-6


def test_the_naive_way_freezes_nothing():
    made = replanner("async")
    replan(made, delay=0.4)

    ask, chunk = replan(made, delay=0.4, at=0.4)

    assert len(ask.frozen) == chunk.frozen_steps == 0


def test_early_stop_asks_for_the_rows_before_the_next_chunk():
    made = replanner("inpaint")
    replan(made, delay=0.4)

    ask, _ = replan(made, delay=0.4, at=0.4)

    assert ask.needed_steps == STEPS + 2 + 1
    assert ask.execute_steps == ask.needed_steps


def test_without_early_stop_all_rows_are_decided():
    made = replanner("inpaint", early_stop=False)
    replan(made, delay=0.1)

    assert replan(made, delay=0.1, at=0.1)[0].needed_steps is None


def test_a_warm_start_offers_what_the_chunk_before_says():
    made = replanner("inpaint", warm_start=True)
    _, first = replan(made, delay=0.2)

    ask, _ = replan(made, delay=0.2, at=0.2)

    known = HORIZON - STEPS
    assert np.array_equal(ask.guess[:known], first.actions[STEPS:])
    assert np.isnan(ask.guess[known:]).all()
    assert (ask.guess_confidence[:known] == 0.5).all()


def test_a_refused_chunk_leaves_the_one_before_in_place():
    made = replanner("inpaint")
    _, first = replan(made, delay=0.1)
    _, second = replan(made, delay=0.1, value=50.0, at=0.1)

    made.refused(second.epoch, second.sequence, now=0.75)
    ask = made.ask(0.9, made.look_at(0.9))

    row = round((ask.stamp - first.stamp) / DT)
    assert np.array_equal(ask.frozen, first.actions[row : row + len(ask.frozen)])


def test_refusals_do_not_make_it_look_again_at_once():
    made = replanner("inpaint")
    replan(made, delay=0.0)
    _, second = replan(made, delay=0.0, at=0.0)

    made.refused(second.epoch, second.sequence, now=0.6)

    assert made.look_at(0.6) > 0.6


def test_a_refusal_of_an_older_chunk_changes_nothing():
    made = replanner("inpaint")
    replan(made, delay=0.1)
    look = made.look_at(0.1)

    made.refused(6, 0, now=0.1)

    assert made.look_at(0.1) == look


def test_dropped_rows_are_not_counted_on():
    made = replanner("inpaint", settle_s=0.1)
    replan(made, delay=0.1)

    made.dropped(now=0.5)
    ask = made.ask(0.7, 0.7)

    assert made.look_at(0.5) == pytest.approx(0.6)
    assert ask.stamp is None
    assert len(ask.frozen) == 0


def test_rows_that_ran_out_make_it_wait_for_rest():
    made = replanner("inpaint", settle_s=0.1)
    _, chunk = replan(made, delay=0.1)

    assert made.look_at(chunk.end + 1.0) == pytest.approx(chunk.end + 1.1)
    assert made.ask(chunk.end + 2.0, chunk.end + 2.0).stamp is None


def test_decoding_must_end_before_the_rows_run_out():
    made = replanner("inpaint", lead_s=0.02)
    _, chunk = replan(made, delay=0.1)
    look = made.look_at(0.1)

    assert made.ask(look, look).deadline_s == pytest.approx(chunk.end - look - 0.02)


def test_a_configured_deadline_holds_when_it_is_shorter():
    made = replanner("inpaint", deadline_s=0.05)
    replan(made, delay=0.1)
    look = made.look_at(0.1)

    assert made.ask(look, look).deadline_s == 0.05


def test_sequences_count_up_within_a_run_and_anew_in_the_next():
    made = replanner("inpaint")
    sequences = [replan(made, 0.1, at=0.1)[1].sequence for _ in range(3)]

    made.start(epoch=8, now=5.0)

    assert sequences == [0, 1, 2]
    assert made.look_at(5.0) == 5.0
    assert replan(made, 0.1, at=5.0)[1].epoch == 8


def test_the_ensemble_publishes_means_for_each_due_time():
    made = replanner("temporal_ensemble", ensemble_decay=0.0)
    _, first = replan(made, delay=0.0, value=0.0)

    _, second = replan(made, delay=0.0, value=10.0, at=0.0)

    row = round((second.stamp - first.stamp) / DT)
    assert row == 1
    assert second.actions[0, 0] == pytest.approx((first.actions[row, 0] + 10.0) / 2)


@given(
    st.sampled_from(MODES),
    st.lists(st.tuples(st.floats(0.0, 2.0), st.sampled_from(["accept", "refuse", "drop", "silent"])), max_size=30),
)
def test_looks_and_due_times_never_go_back(mode, cycles):
    made, now, stamp = replanner(mode, tracking_lag_s=0.1, lead_s=0.02), 0.0, -1.0

    for delay, fate in cycles:
        now = max(now, made.look_at(now))
        ask = made.ask(now, now)
        anchor, now = now, now + delay
        if fate == "silent":
            made.unanswered(now)
            now += 0.01
            continue
        chunk = made.chunk(ask, answer(), anchor, now)
        assert chunk.stamp >= stamp - 1e-9
        assert chunk.frozen_steps <= HORIZON
        assert 1 <= chunk.execute_steps <= HORIZON
        if fate == "accept":
            stamp = chunk.stamp
        elif fate == "refuse":
            made.refused(chunk.epoch, chunk.sequence, now)
        else:
            made.dropped(now)


@pytest.mark.parametrize(
    "wrong", [{"mode": "fast"}, {"lead_s": -1.0}, {"delay_percentile": 101.0}, {"tracking_lag_s": float("nan")}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigurationError, match="must"):
        ReplanningConfig(**wrong)
