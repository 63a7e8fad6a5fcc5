"""Normalisation by data-set statistics."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dvla_ros.actions.normalization import DatasetStatistics, FeatureStatistics, Normalizer
from dvla_ros.errors import ActionError, CheckpointError, ConfigurationError

GRIPPER_PASSES = [True, True, False]


def make_statistics() -> FeatureStatistics:
    rows = np.random.default_rng(0).normal([0, 5, 0.5], [1, 0.1, 0.1], size=(1000, 3))
    return FeatureStatistics.fit(rows, mask=GRIPPER_PASSES)


def make_dataset() -> DatasetStatistics:
    return DatasetStatistics(make_statistics(), FeatureStatistics.fit(np.arange(16.0).reshape(2, 8)), 1000, 10)


def test_fit_takes_the_first_and_the_99th_percentile():
    statistics = FeatureStatistics.fit(np.arange(101.0).reshape(-1, 1))
    assert (statistics.q01[0], statistics.q99[0]) == (1.0, 99.0)
    assert (statistics.min[0], statistics.max[0], statistics.mean[0]) == (0.0, 100.0, 50.0)
    assert statistics.mask.tolist() == [True]


def test_bounds_become_minus_one_and_one_and_what_lies_outside_is_clipped():
    statistics = FeatureStatistics.fit(np.arange(101.0).reshape(-1, 1))
    quantile = Normalizer.from_statistics(statistics)
    extremes = Normalizer.from_statistics(statistics, "min_max")
    assert quantile.normalize([[1.0], [50.0], [99.0], [100.0]]).ravel() == pytest.approx([-1, 0, 1, 1], abs=1e-9)
    assert extremes.normalize([[0.0], [50.0], [100.0], [101.0]]).ravel() == pytest.approx([-1, 0, 1, 1], abs=1e-9)


@given(hnp.arrays(np.float64, (4, 3), elements=st.floats(-1, 1)))
def test_unnormalize_inverts_normalize_exactly(normalized):
    normalizer = Normalizer.from_statistics(make_statistics())
    assert normalizer.normalize(normalizer.unnormalize(normalized)) == pytest.approx(normalized, abs=1e-12)


def test_columns_outside_the_mask_pass_through_unclipped():
    normalizer = Normalizer.from_statistics(make_statistics())
    assert normalizer.normalize([[0, 5, 7.0]])[0, 2] == 7.0
    assert normalizer.unnormalize([[0, 0, -3.0]])[0, 2] == -3.0


def test_a_column_that_never_changes_comes_back_as_it_was():
    normalizer = Normalizer.from_statistics(FeatureStatistics.fit(np.full((5, 1), 0.3)))
    assert normalizer.unnormalize(normalizer.normalize([[0.3]])) == pytest.approx(0.3)
    assert abs(normalizer.normalize([[0.31]])) <= 1


def test_widened_extremes_stay_within_minus_one_and_one():
    statistics = FeatureStatistics.fit([[0.0, 0.3], [2.0, 0.3]])
    normalizer = Normalizer.from_statistics(statistics, "widened_min_max")
    expected = 2 * 1e-4 / 2.0002
    assert normalizer.normalize([[0.0, 0.3], [2.0, 0.3]]) == pytest.approx(
        np.array([[-1 + expected, 0.0], [1 - expected, 0.0]]), abs=1e-9
    )
    assert normalizer.unnormalize([[-1.0, -1.0], [1.0, 1.0]]) == pytest.approx(
        np.array([[-1e-4, 0.2999], [2.0001, 0.3001]]), abs=1e-15
    )


def test_unknown_bounds_are_refused():
    with pytest.raises(ConfigurationError, match="'mean_std'"):
        Normalizer.from_statistics(make_statistics(), "mean_std")


def test_the_two_directions_can_have_different_epsilons():
    normalizer = Normalizer(np.array([0.0]), np.array([1.0]), np.array([True]), epsilon=1.0, inverse_epsilon=0.0)
    assert normalizer.normalize([1.0]) == 0.0
    assert normalizer.unnormalize([1.0]) == 1.0


def test_a_normalised_column_that_never_changes_needs_an_epsilon():
    same = np.array([0.3])
    with pytest.raises(ActionError, match="never changes"):
        Normalizer(same, same, np.array([True]), epsilon=0.0)
    assert Normalizer(same, same, np.array([False]), epsilon=0.0).normalize([0.7]) == 0.7


@pytest.mark.parametrize("epsilons", [{"epsilon": -1e-8}, {"inverse_epsilon": -1e-8}])
def test_negative_epsilons_are_refused(epsilons):
    with pytest.raises(ActionError, match="not be negative"):
        Normalizer(np.array([0.0]), np.array([1.0]), np.array([True]), **epsilons)


def test_another_number_of_columns_is_refused():
    with pytest.raises(ActionError, match=r"3 columns.*\[4, 7\]"):
        Normalizer.from_statistics(make_statistics()).normalize(np.zeros((4, 7)))


@pytest.mark.parametrize("rows", [np.zeros((0, 3)), np.zeros(3), np.full((2, 3), np.nan)])
def test_statistics_need_finite_rows(rows):
    with pytest.raises(ActionError, match="finite rows"):
        FeatureStatistics.fit(rows)


def test_statistics_of_different_lengths_are_refused():
    with pytest.raises(ActionError, match="one shape"):
        FeatureStatistics.fit(np.zeros((2, 3)), mask=[True])


@pytest.mark.parametrize(("low", "high"), [([1.0], [0.0]), ([np.nan], [1.0])])
def test_bounds_the_wrong_way_round_are_refused(low, high):
    with pytest.raises(ActionError, match="low <= high"):
        Normalizer(np.array(low), np.array(high), np.array([True]))


def test_saved_statistics_load_as_they_were(tmp_path):
    path = tmp_path / "dataset_statistics.json"
    saved = make_dataset()
    saved.save(path, "cubes")

    for key in ("cubes", None):
        loaded = DatasetStatistics.load(path, key)
        assert loaded.action.to_json() == saved.action.to_json()
        assert loaded.proprio.to_json() == saved.proprio.to_json()
        assert (loaded.num_transitions, loaded.num_trajectories) == (1000, 10)
    assert set(json.loads(path.read_text())["cubes"]["action"]) == {"mean", "std", "max", "min", "q01", "q99", "mask"}


def test_a_missing_mask_normalises_every_column(tmp_path):
    path = tmp_path / "dataset_statistics.json"
    make_dataset().save(path, "libero_goal_no_noops")
    blocks = json.loads(path.read_text())
    del blocks["libero_goal_no_noops"]["action"]["mask"]
    path.write_text(json.dumps(blocks))
    assert DatasetStatistics.load(path, "libero_goal").action.mask.all()


def test_a_missing_key_is_answered_with_the_keys_there_are(tmp_path):
    path = tmp_path / "dataset_statistics.json"
    make_dataset().save(path, "cubes")
    with pytest.raises(CheckpointError, match=r"'bridge'.*\['cubes'\]"):
        DatasetStatistics.load(path, "bridge")


def test_the_key_is_needed_when_there_are_several(tmp_path):
    path = tmp_path / "dataset_statistics.json"
    path.write_text(json.dumps({"a": {}, "b": {}}))
    with pytest.raises(CheckpointError, match=r"Name one.*\['a', 'b'\]"):
        DatasetStatistics.load(path)


@pytest.mark.parametrize(("remove", "message"), [("proprio", "lack .'proprio'"), ("q01", "lack .'q01'")])
def test_an_incomplete_block_is_refused(tmp_path, remove, message):
    path = tmp_path / "dataset_statistics.json"
    make_dataset().save(path, "cubes")
    blocks = json.loads(path.read_text())
    blocks["cubes"].pop(remove, None)
    blocks["cubes"]["action"].pop(remove, None)
    path.write_text(json.dumps(blocks))
    with pytest.raises(CheckpointError, match=message):
        DatasetStatistics.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"nothing\.json"):
        DatasetStatistics.load(tmp_path / "nothing.json")
