"""UD-VLA's norm_stats.json."""

import json

import numpy as np
import pytest

from dvla_ros.actions.norm_stats import NormStats
from dvla_ros.errors import ActionError, CheckpointError

# Those of UD-VLA on CALVIN.
Q01 = [-0.6996, -0.5776, -0.4336, -0.4232, -0.4652, -1.0, -1.0]
Q99 = [0.6764, 0.5560, 0.5944, 0.4264, 0.4120, 0.9996, 0.9996]
BLOCK = {"mean": [0.0] * 7, "std": [0.2] * 7, "q01": Q01, "q99": Q99}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "norm_stats.json"
    path.write_text(json.dumps({"norm_stats": {"calvin_abcd": BLOCK}}))
    return path


@pytest.mark.parametrize("key", ["calvin_abcd", None])
def test_the_published_layout_is_read(path, key):
    statistics = NormStats.load(path, key)
    assert (statistics.q01.tolist(), statistics.q99.tolist()) == (Q01, Q99)
    assert (statistics.mean.tolist(), statistics.std.tolist()) == ([0.0] * 7, [0.2] * 7)


def test_all_columns_are_normalised_the_gripper_among_them(path):
    normalizer = NormStats.load(path).normalizer()
    assert normalizer.normalize([Q01, Q99]) == pytest.approx(np.outer([-1, 1], np.ones(7)), abs=1e-7)


def test_unnormalising_has_no_epsilon_and_normalising_has(path):
    normalizer = NormStats.load(path).normalizer()
    low, high = normalizer.unnormalize([np.full(7, -1.0), np.full(7, 1.0)])
    assert (low.tolist(), high.tolist()) == (Q01, pytest.approx(Q99, abs=1e-15))
    width = Q99[0] - Q01[0]
    assert normalizer.normalize([Q99])[0, 0] == pytest.approx(2 * width / (width + 1e-8) - 1, abs=1e-12)
    assert normalizer.normalize([Q99])[0, 0] < 1 - 1e-9


def test_a_mask_lets_columns_pass(path):
    normalizer = NormStats.load(path).normalizer([True] * 6 + [False])
    assert normalizer.normalize(np.full((1, 7), 0.3))[0, 6] == 0.3
    with pytest.raises(ActionError, match="one shape"):
        NormStats.load(path).normalizer([True])


def test_no_noops_is_tried_after_the_key(tmp_path):
    path = tmp_path / "norm_stats.json"
    path.write_text(json.dumps({"norm_stats": {"libero_goal_no_noops": BLOCK, "other": {}}}))
    assert NormStats.load(path, "libero_goal").q01.tolist() == Q01


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no JSON", "no JSON object 'norm_stats'"),
        ("[]", "no JSON object 'norm_stats'"),
        ('{"libero": {}}', "no JSON object 'norm_stats'"),
        ('{"norm_stats": {"a": {}, "b": {}}}', r"Name one.*\['a', 'b'\]"),
        ('{"norm_stats": {"a": {"mean": [0], "std": [1], "q01": [0]}}}', "lack .'q99'"),
    ],
)
def test_a_file_that_is_not_complete_is_refused(tmp_path, content, message):
    path = tmp_path / "norm_stats.json"
    path.write_text(content)
    with pytest.raises(CheckpointError, match=message):
        NormStats.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"nothing\.json"):
        NormStats.load(tmp_path / "nothing.json")


def test_statistics_of_different_lengths_are_refused(tmp_path):
    path = tmp_path / "norm_stats.json"
    path.write_text(json.dumps({"norm_stats": {"a": {**BLOCK, "q01": [0.0]}}}))
    with pytest.raises(ActionError, match="one shape"):
        NormStats.load(path)
