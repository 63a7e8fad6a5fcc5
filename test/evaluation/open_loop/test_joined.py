"""Predictions are joined as a robot would execute them."""

import numpy as np
import pytest

from dvla_ros.evaluation.open_loop.joined import joined
from dvla_ros.evaluation.open_loop.sample import Sample, stacked

DT, H = 0.2, 4


def samples(anchors, episode=0):
    def one(number, anchor):
        rows = np.full((H, 2), float(number)) + 0.1 * np.arange(H)[:, None]
        return Sample(episode, anchor, rows, rows, np.ones((H, 2)), 1, 0.1)

    return [one(number, anchor) for number, anchor in enumerate(anchors)]


def values(anchors, execute_steps):
    episode = joined(stacked(samples(anchors)), execute_steps, DT)[0]
    return episode, episode.predicted[:, 0].round(3).tolist()


def test_the_next_chunk_takes_over_after_the_rows_to_execute():
    episode, rows = values(DT * np.arange(5), 2)
    assert rows == [0.0, 0.1, 2.0, 2.1, 4.0, 4.1, 4.2, 4.3]
    assert episode.samples == (0, 2, 4) and episode.lags == (2, 2) and set(episode.run) == {0}
    np.testing.assert_allclose(episode.times, DT * np.arange(8))


def test_a_chunk_goes_on_until_there_is_a_sample():
    episode, rows = values([0.0, 0.6], 2)
    assert rows == [0.0, 0.1, 0.2, 1.0, 1.1, 1.2, 1.3] and episode.lags == (3,)


def test_a_gap_ends_a_run():
    episode, _ = values([0.0, 3.0], 2)
    assert episode.run.tolist() == [0] * 4 + [1] * 4 and episode.lags == (0,)


@pytest.mark.parametrize("seed", range(3))
def test_due_times_increase_whatever_the_anchors(seed):
    anchors = np.cumsum(np.random.default_rng(seed).uniform(0.05, 1.2, 40))
    episode, _ = values(anchors, 2)
    assert (np.diff(episode.times) > 0.0).all()
    for run in np.unique(episode.run):
        steps = np.diff(episode.times[episode.run == run])
        assert ((steps > 0.45 * DT) & (steps < 1.55 * DT)).all()


def test_episodes_are_joined_apart():
    both = stacked([*samples([0.0, 0.4], 1), *samples([0.8], 0)])
    assert [len(episode.times) for episode in joined(both, 2, DT)] == [4, 6]
