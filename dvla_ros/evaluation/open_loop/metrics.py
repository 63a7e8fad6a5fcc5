"""The figures of open-loop evaluation, from samples."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dvla_ros.control.bridge import ACTION_LOWER, ACTION_UPPER
from dvla_ros.control.chunk import ControlMode
from dvla_ros.errors import RecordingError
from dvla_ros.evaluation.open_loop.bootstrap import intervals
from dvla_ros.evaluation.open_loop.breakdown import axis_figures, episode_figures, row_figures
from dvla_ros.evaluation.open_loop.calibration import CalibrationFigures, calibration_figures
from dvla_ros.evaluation.open_loop.columns import Columns
from dvla_ros.evaluation.open_loop.diagnosis import with_warnings
from dvla_ros.evaluation.open_loop.direction import direction_figures
from dvla_ros.evaluation.open_loop.gripper import gripper_figures
from dvla_ros.evaluation.open_loop.joined import joined
from dvla_ros.evaluation.open_loop.open_loop_figures import OpenLoopFigures
from dvla_ros.evaluation.open_loop.policy_range import PolicyRange
from dvla_ros.evaluation.open_loop.prediction_shift import prediction_shift
from dvla_ros.evaluation.open_loop.sample import Sample, Samples, stacked
from dvla_ros.evaluation.open_loop.seams import seam_figures
from dvla_ros.evaluation.open_loop.tally import Tally, headline
from dvla_ros.evaluation.open_loop.tallying import recorded_scale, tally_of
from dvla_ros.evaluation.open_loop.time_offset import TimeOffset

TOLERANCE = 0.25
"""Part of the scale within which a value counts as correct, for the calibration of the confidence."""

OF_RECORDING = "the standard deviation of each column in the recordings"
GIVEN = "a scale that was given"
_AT_LIMIT = 1e-3


def figures(
    samples: Sequence[Sample],
    names: Sequence[str],
    mode: ControlMode,
    scale: np.ndarray | None,
    execute_steps: int,
    dt: float,
    *,
    policy_range: PolicyRange | None = None,
    offsets: Sequence[TimeOffset] = (),
    tolerance: float = TOLERANCE,
    realtime_factor: float = float("nan"),
    same_policy: bool = False,
    draws: int = 1000,
    seed: int = 0,
) -> OpenLoopFigures:
    """All figures of some predictions.

    Args:
        samples: At least one, in any order.
        names: D column names.
        mode: What a row means.
        scale: `[D]`, one unit of normalised error; None for the standard deviation of what was recorded. Give all
            policies that are compared the same recordings, or the same scale.
        execute_steps: Rows that are executed before the policy is asked again.
        dt: Seconds between rows.
        policy_range: The actions that the policy was trained on, where that is known.
        offsets: Between cameras and joints, where they were measured.
        tolerance: Within this part of the scale a value is correct.
        realtime_factor: Seconds of recording per second of evaluation.
        same_policy: Whether this checkpoint drove the arm when it was recorded.
        draws: Of the bootstrap.
        seed: Of the bootstrap.

    Raises:
        RecordingError: There is no sample, their shapes differ, or do not fit the names or the scale.
    """
    found = stacked(samples)
    columns = Columns.of(names, mode)
    _require_width(found, columns, scale)
    unit = recorded_scale(found) if scale is None else np.asarray(scale, np.float64)
    episodes = joined(found, execute_steps, dt)
    tally = tally_of(found, episodes, columns, unit, tolerance)
    total = tally.weighted(np.ones((1, len(found))))
    calibration = _calibration(total, found, tolerance)
    if calibration.constant:  # it has no calibration error, nor has any part of it
        tally = replace(tally, bin_count=np.zeros_like(tally.bin_count))
    overall = headline(total, unit)
    decode_ms = 1e3 * found.decode_s
    result = OpenLoopFigures(
        episodes=len(episodes),
        steps=len(found),
        mae=float(overall.mae[0]),
        rmse=float(overall.rmse[0]),
        normalised_error=float(overall.normalised_error[0]),
        normalised_by=OF_RECORDING if scale is None else GIVEN,
        gripper_accuracy=float(overall.gripper_accuracy[0]),
        direction=float(overall.direction[0]),
        seam_jump=float(overall.seam_jump[0]),
        ece=calibration.ece,
        nfe=float(found.nfe.mean()),
        decode_ms_p50=float(np.percentile(decode_ms, 50)),
        decode_ms_p95=float(np.percentile(decode_ms, 95)),
        realtime_factor=float(realtime_factor),
        malformed=int(found.malformed.sum()),
        not_recorded=float(np.mean(~np.isfinite(found.recorded).all(axis=-1))),
        clipped=_clipped(found.predicted, columns),
        intervals=intervals(tally, found.episode, unit, _block(found, dt), draws, seed),
        axes=axis_figures(found, columns, unit, policy_range),
        rows=row_figures(found, columns, unit, dt),
        by_episode=episode_figures(tally, found.episode, unit),
        gripper=None if columns.gripper is None else gripper_figures(found, episodes, columns.gripper),
        motion=direction_figures(found, columns),
        seams=seam_figures(found, episodes, columns, dt),
        calibration=calibration,
        shift=prediction_shift(episodes, columns, dt),
        offsets=tuple(offsets),
    )
    return with_warnings(result, found, columns, same_policy)


def _require_width(samples: Samples, columns: Columns, scale: np.ndarray | None) -> None:
    width = samples.predicted.shape[-1]
    if width != len(columns.names) or (scale is not None and np.shape(scale) != (width,)):
        raise RecordingError(
            f"Samples have {width} columns, there are {len(columns.names)} names {columns.names} and a scale of shape "
            f"{None if scale is None else list(np.shape(scale))}; give one name and one scale for each column."
        )


def _calibration(total: Tally, samples: Samples, tolerance: float) -> CalibrationFigures:
    known = samples.confidence[np.isfinite(samples.confidence)]
    spread = float(np.ptp(known)) if known.size else 0.0
    return calibration_figures(total.bin_count[0], total.bin_confidence[0], total.bin_correct[0], tolerance, spread)


def _clipped(predicted: np.ndarray, columns: Columns) -> float:
    """Share of predicted increments at or beyond the limits of Bridge; NaN in other modes."""
    if columns.mode is not ControlMode.EE_DELTA or predicted.shape[-1] != len(ACTION_UPPER):
        return float("nan")
    arm = predicted[..., :6]
    known = np.isfinite(arm)
    reach = ACTION_UPPER[:6] * (1.0 - _AT_LIMIT)
    beyond = known & ((arm >= reach) | (arm <= ACTION_LOWER[:6] * (1.0 - _AT_LIMIT)))
    return float(beyond.sum() / max(int(known.sum()), 1))


def _block(samples: Samples, dt: float) -> int:
    """Frames over which predictions of one episode speak of the same rows."""
    gaps = np.diff(samples.anchor)[np.diff(samples.episode) == 0]
    gaps = gaps[gaps > 0.0]
    return max(1, int(np.ceil(samples.predicted.shape[1] * dt / np.median(gaps)))) if len(gaps) else 1
