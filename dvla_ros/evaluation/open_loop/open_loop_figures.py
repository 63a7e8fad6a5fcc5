"""The figures of open-loop evaluation, as dataclasses that become JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from dvla_ros.evaluation.json_numbers import known
from dvla_ros.evaluation.open_loop.bootstrap import Intervals
from dvla_ros.evaluation.open_loop.calibration import CalibrationFigures
from dvla_ros.evaluation.open_loop.direction import DirectionFigures
from dvla_ros.evaluation.open_loop.gripper import GripperFigures
from dvla_ros.evaluation.open_loop.prediction_shift import PredictionShift
from dvla_ros.evaluation.open_loop.seams import SeamFigures
from dvla_ros.evaluation.open_loop.time_offset import TimeOffset


@dataclass(frozen=True)
class AxisFigures:
    """One column over all rows.

    Attributes:
        name: Of the column.
        unit: `m`, `rad` or `opening`.
        scale: What one unit of normalised error is; NaN where the column does not vary.
        mae: Mean absolute error.
        rmse: Root of the mean square error.
        bias: Mean of predicted less recorded.
        p95: 95th percentile of the absolute error.
        normalised_error: RMSE over scale.
        outside: Share of the recorded values that the policy's statistics do not cover; NaN where that is not known.
        mae_by_row: Mean absolute error of each row of the horizon.
    """

    name: str
    unit: str
    scale: float
    mae: float
    rmse: float
    bias: float
    p95: float
    normalised_error: float
    outside: float
    mae_by_row: tuple[float, ...]


@dataclass(frozen=True)
class RowFigures:
    """One row of the horizon over all columns.

    Attributes:
        row: 0 is due at the observation's time.
        seconds: How long after the observation it is due.
        count: Predictions for which it was recorded.
        mae, rmse, normalised_error, gripper_accuracy, direction: As in `OpenLoopFigures`.
    """

    row: int
    seconds: float
    count: int
    mae: float
    rmse: float
    normalised_error: float
    gripper_accuracy: float
    direction: float


@dataclass(frozen=True)
class EpisodeFigures:
    """One episode; names as in `OpenLoopFigures`."""

    episode: int
    steps: int
    mae: float
    rmse: float
    normalised_error: float
    gripper_accuracy: float
    direction: float
    seam_jump: float
    ece: float


@dataclass(frozen=True)
class OpenLoopFigures:
    """Predictions on recordings beside what was recorded. NaN: there is nothing to judge by.

    Attributes:
        episodes: How many episodes.
        steps: How many predictions were compared.
        mae: Mean absolute error over all rows and columns, each in its own unit.
        rmse: Root of the mean square error over the same.
        normalised_error: Root of the mean over the columns of (RMSE / scale)²; 1: as bad as always the mean action.
        normalised_by: What the scale is, in words.
        gripper_accuracy: Share of rows with the gripper on the right side of half open.
        direction: Mean cosine between predicted and recorded motion where the recorded arm moves.
        seam_jump: Mean jump at a seam, m or rad.
        ece: Expected calibration error of the confidence.
        nfe: Mean network function evaluations.
        decode_ms_p50: Median time of a prediction in ms.
        decode_ms_p95: 95th percentile of it.
        realtime_factor: Seconds of recording evaluated per second of evaluation.
        malformed: Predictions whose tokens were not what an encoder writes.
        not_recorded: Share of the rows asked for of which nothing was recorded.
        clipped: Share of the predicted values at the limits to which Bridge increments are clipped.
        intervals: 95 % intervals of the figures above.
        axes: Each column.
        rows: Each row of the horizon.
        by_episode: Each episode.
        gripper: None where no column is the gripper.
        motion: Direction and size of motion.
        seams: Seams of the joined predictions.
        calibration: The decoder's confidence.
        shift: Between predictions and recorded actions.
        offsets: Between cameras and joints.
        warnings: What looks wrong, in words.
    """

    episodes: int
    steps: int
    mae: float
    rmse: float
    normalised_error: float
    normalised_by: str
    gripper_accuracy: float
    direction: float
    seam_jump: float
    ece: float
    nfe: float
    decode_ms_p50: float
    decode_ms_p95: float
    realtime_factor: float
    malformed: int
    not_recorded: float
    clipped: float
    intervals: Intervals
    axes: tuple[AxisFigures, ...]
    rows: tuple[RowFigures, ...]
    by_episode: tuple[EpisodeFigures, ...]
    gripper: GripperFigures | None
    motion: DirectionFigures
    seams: SeamFigures
    calibration: CalibrationFigures
    shift: PredictionShift
    offsets: tuple[TimeOffset, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> Mapping[str, object]:
        """Everything as JSON allows it; None for what is not known."""
        result = known(asdict(self))
        assert isinstance(result, Mapping)
        return result
