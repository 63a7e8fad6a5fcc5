"""Figures have the values that they are defined to have, and what is wrong with a policy shows in one of them."""

import json
from dataclasses import replace

import numpy as np
import open_loop_samples as synthetic
import pytest

from dvla_ros.control.chunk import ControlMode
from dvla_ros.errors import RecordingError
from dvla_ros.evaluation.open_loop.metrics import figures
from dvla_ros.evaluation.open_loop.policy_range import PolicyRange
from dvla_ros.evaluation.open_loop.sample import stacked
from dvla_ros.evaluation.open_loop.tallying import recorded_scale

DT = synthetic.DT


def judged(samples, mode=ControlMode.EE_DELTA, scale=None, execute_steps=4, **options):
    return figures(samples, synthetic.NAMES, mode, scale, execute_steps, DT, draws=200, **options)


def episodes(count=3, **options):
    return [sample for number in range(count) for sample in synthetic.episode(number, **options)]


def noisy(size, seed=0):
    rng = np.random.default_rng(seed)
    unit = np.array([0.02] * 3 + [0.07] * 3 + [0.0])
    return lambda times, true: true + size * unit * rng.standard_normal(true.shape)


def inverted(times, true):
    return np.concatenate([true[:, :6], 1.0 - true[:, 6:]], axis=1)


def test_a_perfect_policy_has_no_error():
    found = judged(episodes())
    assert (found.episodes, found.steps) == (3, 300)
    assert found.mae == found.rmse == found.normalised_error == 0.0
    assert found.seam_jump == pytest.approx(0.0, abs=1e-15)
    assert found.gripper_accuracy == 1.0 and found.direction == pytest.approx(1.0)
    assert found.gripper.delay_s == 0.0 and found.gripper.matched == found.gripper.changes > 10
    assert found.seams.jerk_rms == pytest.approx(found.seams.recorded_jerk_rms)
    assert found.motion.magnitude == pytest.approx(1.0)
    assert found.warnings == ()


def test_always_taking_the_mean_action_has_a_normalised_error_of_one():
    samples = episodes()
    mean = np.concatenate([sample.recorded for sample in samples]).mean(axis=0)
    found = judged([replace(sample, predicted=np.tile(mean, (8, 1))) for sample in samples])
    assert found.normalised_error == pytest.approx(1.0)
    assert [axis.normalised_error for axis in found.axes] == pytest.approx([1.0] * 7)
    assert any("always taking the mean" in words for words in found.warnings)


def test_errors_are_those_of_the_definition():
    def predict(times, true):
        return true + np.array([0.001, -0.002, 0.0, 0.0, 0.0, 0.0, 0.0]) * (1.0 + (times - times[0])[:, None] / DT)

    found = judged(episodes(predict=predict))
    rows = 1.0 + np.arange(8)
    assert found.axes[0].mae_by_row == pytest.approx(0.001 * rows)
    assert found.axes[1].bias == pytest.approx(-0.002 * rows.mean())
    assert found.axes[1].rmse == pytest.approx(0.002 * np.sqrt(np.mean(rows**2)))
    assert found.mae == pytest.approx(0.003 * rows.mean() / 7)
    assert found.rows[7].mae == pytest.approx(0.003 * 8 / 7)
    assert found.rows[7].seconds == pytest.approx(1.4)


def test_a_worse_policy_is_worse_in_every_figure():
    good, bad = judged(episodes(predict=noisy(0.1))), judged(episodes(predict=noisy(0.8)))
    for name in ("mae", "rmse", "normalised_error", "seam_jump", "ece"):
        assert getattr(bad, name) > getattr(good, name), name
    assert bad.direction < good.direction
    assert bad.seams.jerk_rms > good.seams.jerk_rms > good.seams.recorded_jerk_rms
    for name in ("mae", "rmse", "normalised_error"):  # beyond chance
        assert getattr(bad.intervals, name).low > getattr(good.intervals, name).high, name


def test_a_wrong_gripper_convention_shows_in_the_accuracy_and_in_words():
    found = judged(episodes(predict=inverted))
    assert found.gripper_accuracy == 0.0
    assert any("gripper convention looks inverted" in words for words in found.warnings)
    assert not any("inverted" in words for words in judged(episodes(predict=noisy(0.5))).warnings)


@pytest.mark.parametrize("late", [0.2, 0.4, -0.2])
def test_late_predictions_show_in_the_shift_and_in_the_gripper(late):
    found = judged(episodes(late=late, every=0.2))
    assert found.shift.shift_s == pytest.approx(-late, abs=0.03)
    assert found.shift.reliable
    assert found.gripper.delay_s == pytest.approx(late, abs=0.11)
    assert any(f"{abs(late):.2f} s {'earlier' if late > 0 else 'later'}" in words for words in found.warnings)


def test_the_shift_of_a_noisy_policy_is_not_reported():
    found = judged(episodes(predict=noisy(1.0)))
    assert not found.shift.reliable


def test_too_large_actions_show_in_their_magnitude():
    found = judged(episodes(predict=lambda times, true: _scaled(true, 2.5)))
    assert found.motion.magnitude == pytest.approx(2.5)
    assert any("2.50 times as large" in words for words in found.warnings)


def _scaled(true, factor):
    return np.concatenate([factor * true[:, :6], true[:, 6:]], axis=1)


def test_increments_at_their_limits_are_counted():
    found = judged(episodes(predict=lambda times, true: np.clip(_scaled(true, 9.0), -0.05, 1.0)))
    assert found.clipped > 0.1
    assert any("at the limits" in words for words in found.warnings)


def test_what_was_not_recorded_does_not_count():
    samples = episodes(predict=noisy(0.3))
    gone = [replace(s, recorded=np.where(np.arange(8)[:, None] < 4, s.recorded, np.nan)) for s in samples]
    found = judged(gone)
    short = [
        replace(s, predicted=s.predicted[:4], recorded=s.recorded[:4], confidence=s.confidence[:4]) for s in samples
    ]
    assert found.mae == pytest.approx(judged(short).mae)
    assert found.not_recorded == pytest.approx(0.5)
    assert np.isnan(found.rows[6].mae) and found.rows[6].count == 0
    assert any("nothing was recorded" in words for words in found.warnings)


def test_statistics_that_do_not_cover_the_recording_are_named():
    narrow = PolicyRange(np.array([-0.001] + [-1.0] * 6), np.array([0.001] + [1.0] * 6))
    found = judged(episodes(), policy_range=narrow)
    assert found.axes[0].outside > 0.5 and found.axes[1].outside == 0.0
    assert any("do not cover" in words and "dx" in words for words in found.warnings)


def test_idle_recordings_are_named():
    def still(samples):
        return [replace(s, predicted=0.0 * s.predicted, recorded=0.0 * s.recorded) for s in samples]

    found = judged([*still(synthetic.episode(0)), *synthetic.episode(1)])
    assert found.motion.idle == pytest.approx(0.5, abs=0.1)
    assert any("nothing moves" in words for words in found.warnings)


def test_absolute_poses_are_judged_by_their_steps_and_on_the_shorter_way_round():
    def absolute(sample):
        path = np.concatenate([0.2 + np.cumsum(sample.recorded[:, :3], axis=0), sample.recorded[:, 3:]], axis=1)
        path[:, 3] = np.pi - 0.01
        turned = path.copy()
        turned[:, 3] = -np.pi + 0.01
        return replace(sample, predicted=turned, recorded=path)

    found = judged([absolute(sample) for sample in episodes()], mode=ControlMode.EE_POSE)
    assert found.axes[3].mae == pytest.approx(0.02)
    assert found.direction == pytest.approx(1.0)
    assert np.isnan(found.rows[0].direction) and np.isnan(found.clipped)


def test_joints_have_one_unit_and_all_of_them_move():
    found = judged(episodes(), mode=ControlMode.JOINT_DELTA)
    assert [axis.unit for axis in found.axes] == ["rad"] * 6 + ["opening"]
    assert found.seams.unit == "rad" and found.motion.rows == 300 * 8


def test_malformed_predictions_and_times_are_counted():
    samples = [replace(s, malformed="too short" if i < 7 else "") for i, s in enumerate(episodes())]
    samples = [replace(s, decode_s=0.01 * (1 + i % 100)) for i, s in enumerate(samples)]
    found = judged(samples)
    assert found.malformed == 7 and found.nfe == 4.0
    assert found.decode_ms_p50 == pytest.approx(505.0)
    assert found.decode_ms_p95 == pytest.approx(950.5)
    assert any("7 of 300 predictions were malformed" in words for words in found.warnings)


def test_figures_of_an_episode_are_those_of_its_samples_alone():
    samples = episodes(predict=noisy(0.4))
    scale = recorded_scale(stacked(samples))
    found, alone = judged(samples), judged([s for s in samples if s.episode == 1], scale=scale)
    part = found.by_episode[1]
    assert (part.mae, part.normalised_error, part.ece) == pytest.approx((alone.mae, alone.normalised_error, alone.ece))
    assert part.seam_jump == pytest.approx(alone.seam_jump)


def test_one_episode_is_drawn_in_blocks_and_a_seed_repeats_the_draws():
    samples = synthetic.episode(0, predict=noisy(0.4))
    found = judged(samples, seed=3)
    assert found.intervals == judged(samples, seed=3).intervals != judged(samples, seed=4).intervals
    assert "blocks of 10 frames" in found.intervals.drawn
    assert found.intervals.mae.low < found.mae < found.intervals.mae.high
    assert any("one episode" in words for words in found.warnings)


def test_json_has_the_names_that_scripts_read_and_no_nan():
    found = judged(synthetic.episode(0, confidence=1.0), realtime_factor=12.0).to_json()
    wanted = "episodes steps mae rmse gripper_accuracy seam_jump ece decode_ms_p50 realtime_factor warnings"
    assert set(wanted.split()) <= found.keys()
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text)["ece"] is None and found["realtime_factor"] == 12.0


def test_samples_that_do_not_fit_are_named():
    with pytest.raises(RecordingError, match="at least one sample"):
        judged([])
    odd = replace(synthetic.episode(0)[0], recorded=np.zeros((3, 7)))
    with pytest.raises(RecordingError, match=r"\[3, 7\], \[8, 7\]"):
        judged([odd])
    with pytest.raises(RecordingError, match="7 columns, there are 2 names"):
        figures(synthetic.episode(0), ("a", "b"), ControlMode.EE_DELTA, None, 4, DT)
