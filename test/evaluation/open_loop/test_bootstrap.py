"""Intervals hold the true figure about as often as they say."""

import numpy as np

from dvla_ros.evaluation.open_loop.bootstrap import intervals
from dvla_ros.evaluation.open_loop.tally import Tally


def tally(absolute):
    """Sums of samples with one value each, of this absolute error."""
    units = len(absolute)
    ones, none = np.ones(units), np.zeros(units)
    bins = np.zeros((units, 10))
    column = np.asarray(absolute, float)[:, None]
    return Tally(ones[:, None], column, column**2, none, none, none, none, none, none, bins, bins, bins)


def mae_interval(absolute, episode, **options):
    return intervals(tally(absolute), episode, np.ones(1), **options).mae


def test_intervals_of_episodes_cover_the_truth():
    covered = 0
    for trial in range(100):
        rng = np.random.default_rng(trial)
        level = np.repeat(1.0 + 0.3 * rng.standard_normal(20), 30)
        found = mae_interval(level, np.repeat(np.arange(20), 30), block=1, draws=200)
        covered += found.low <= 1.0 <= found.high
    assert 85 <= covered <= 99


def test_frames_that_are_alike_make_wider_intervals_in_blocks():
    smooth = np.repeat(np.random.default_rng(0).uniform(0.0, 2.0, 40), 20)
    one = np.zeros(len(smooth), int)
    narrow = np.random.default_rng(1).permutation(smooth)
    wide, shuffled = mae_interval(smooth, one, block=20), mae_interval(narrow, one, block=20)
    assert wide.high - wide.low > 2.0 * (shuffled.high - shuffled.low)


def test_what_is_not_known_has_no_interval():
    found = intervals(tally([1.0, 2.0, 3.0]), np.zeros(3, int), np.ones(1), block=1, draws=20)
    assert np.isnan(found.seam_jump.low) and np.isfinite(found.mae.low)
    assert found.draws == 20 and "one episode" in found.drawn
