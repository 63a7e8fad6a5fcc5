"""What looks wrong, in words: with the figure that shows it, and what to do."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from dvla_ros.control.bridge import ACTION_LOWER, ACTION_UPPER
from dvla_ros.control.chunk import ControlMode
from dvla_ros.evaluation.open_loop.columns import Columns
from dvla_ros.evaluation.open_loop.gripper import GripperFigures
from dvla_ros.evaluation.open_loop.open_loop_figures import OpenLoopFigures
from dvla_ros.evaluation.open_loop.sample import Samples
from dvla_ros.evaluation.open_loop.time_offset import TimeOffset

_INVERTED = 0.4
_NO_BETTER = 0.95
_SMALL, _LARGE = 0.5, 2.0
_IDLE = 0.3
_CLIPPED = 0.02
_BEYOND = 0.01
_OUTSIDE = 0.1
_MISSING = 0.2
_OVERCONFIDENT = 0.2
_OFFSET_S = 0.05
_LATE_GRIPPER_S = 0.3
_FEWEST_CHANGES = 3


def with_warnings(
    figures: OpenLoopFigures, samples: Samples, columns: Columns, same_policy: bool = False
) -> OpenLoopFigures:
    """The same figures with what looks wrong in words; `same_policy`: this checkpoint drove the recorded arm."""
    words = [
        *_of_gripper(figures.gripper),
        *_of_time(figures),
        *_of_motion(figures, same_policy),
        *_of_range(figures, samples, columns),
        *_of_confidence(figures),
        *_of_amount(figures),
    ]
    return replace(figures, warnings=tuple(words))


def offset_words(offset: TimeOffset) -> str:
    """What a camera's offset means, in words; empty where it is small, or the evidence weak."""
    if not offset.reliable or abs(offset.offset_s) < _OFFSET_S:
        return ""
    late = "later" if offset.offset_s > 0.0 else "earlier"
    remedy = (
        f"Raise the camera's latency by {offset.offset_s:.2f} s"
        if offset.offset_s > 0.0
        else (f"Lower the camera's latency by {-offset.offset_s:.2f} s, or raise that of the joints")
    )
    return (
        f"Camera {offset.camera} shows motion {abs(offset.offset_s):.2f} s {late} than the joint states report it "
        f"(correlation {offset.correlation:.2f}, {offset.unshifted:.2f} without an offset; standard error "
        f"{offset.spread_s:.3f} s). {remedy}, or mend the clocks."
    )


def _of_gripper(gripper: GripperFigures | None) -> Iterator[str]:
    if gripper is None:
        return
    if gripper.balanced_accuracy < _INVERTED or (np.isnan(gripper.balanced_accuracy) and gripper.accuracy < _INVERTED):
        flipped = 1.0 - gripper.accuracy
        yield (
            f"The gripper convention looks inverted: predictions are on the right side in {gripper.accuracy:.0%} of "
            f"the rows, the other way round they would be in {flipped:.0%}. Here 0 is closed and 1 open; set the "
            "gripper convention of the checkpoint's deployment."
        )
    if gripper.matched >= _FEWEST_CHANGES and abs(gripper.delay_s) >= _LATE_GRIPPER_S:
        word = "late" if gripper.delay_s > 0.0 else "early"
        yield f"The gripper moves {abs(gripper.delay_s):.2f} s too {word} (median of {gripper.matched} changes)."


def _of_time(figures: OpenLoopFigures) -> Iterator[str]:
    yield from (words for words in map(offset_words, figures.offsets) if words)
    shift = figures.shift
    if shift.reliable:
        when, word = ("later", "early") if shift.shift_s > 0.0 else ("earlier", "late")
        yield (
            f"Predictions fit best what was recorded {abs(shift.shift_s):.2f} s {when}: they come {word} (the error is "
            f"{shift.gain:.0%} smaller so, over {shift.rows} rows). Check latencies, stamps and what was recorded as "
            "action: measured joints follow commands."
        )


def _of_motion(figures: OpenLoopFigures, same_policy: bool) -> Iterator[str]:
    motion = figures.motion
    if figures.normalised_error >= _NO_BETTER:
        why = (
            "This checkpoint drove the recorded arm: so far do its own answers differ with the moment and the seed, "
            "where there are several good ways."
            if same_policy
            else "Is it the right checkpoint, control mode and frame?"
        )
        yield (
            f"The normalised error is {figures.normalised_error:.2f}: always taking the mean recorded action would do "
            f"as well (1). {why}"
        )
    if motion.rows and not _SMALL <= motion.magnitude <= _LARGE:
        yield (
            f"Predicted motion is {motion.magnitude:.2f} times as large as recorded motion. Check units, the time "
            "between rows and the statistics with which actions are un-normalised."
        )
    if motion.idle >= _IDLE:
        yield (
            f"In {motion.idle:.0%} of the recorded rows nothing moves: they make every average look better, and a "
            "policy trained on them may rest. Leave the idle parts out."
        )
    if figures.clipped >= _CLIPPED:
        yield (
            f"{figures.clipped:.1%} of the predicted increments are at the limits to which they are clipped "
            f"(±{ACTION_UPPER[0]:g} m, ±{ACTION_UPPER[3]:g} rad)."
        )


def _of_range(figures: OpenLoopFigures, samples: Samples, columns: Columns) -> Iterator[str]:
    uncovered = [f"{axis.name} {axis.outside:.0%}" for axis in figures.axes if axis.outside >= _OUTSIDE]
    if uncovered:
        yield (
            "The policy's statistics do not cover the recording; outside of the range it was trained on lie: "
            f"{', '.join(uncovered)}. Is it the statistics of this robot and data set?"
        )
    if columns.mode is not ControlMode.EE_DELTA or samples.recorded.shape[-1] != len(ACTION_UPPER):
        return
    arm = samples.recorded[..., :6]
    beyond = np.isfinite(arm) & ((arm > ACTION_UPPER[:6] + 1e-6) | (arm < ACTION_LOWER[:6] - 1e-6))
    share = float(beyond.sum() / max(int(np.isfinite(arm).sum()), 1))
    if share >= _BEYOND:
        yield (
            f"{share:.1%} of the recorded increments are beyond the limits to which actions are clipped "
            f"(±{ACTION_UPPER[0]:g} m, ±{ACTION_UPPER[3]:g} rad per row): the arm was faster than a policy may be."
        )


def _of_confidence(figures: OpenLoopFigures) -> Iterator[str]:
    calibration = figures.calibration
    if calibration.constant:
        yield "The confidence is the same everywhere and says nothing: this policy has none."
    elif calibration.overconfidence >= _OVERCONFIDENT:
        yield (
            f"The decoder is surer than it is right: mean confidence {calibration.confidence:.2f}, share "
            f"{calibration.correct:.2f} within {calibration.tolerance:g} standard deviations of what was recorded."
        )


def _of_amount(figures: OpenLoopFigures) -> Iterator[str]:
    if figures.not_recorded >= _MISSING:
        yield (
            f"Of {figures.not_recorded:.0%} of the rows that were asked for nothing was recorded: the figures rest on "
            "the others."
        )
    if figures.malformed:
        yield f"{figures.malformed} of {figures.steps} predictions were malformed and were repaired."
    if figures.episodes == 1:
        yield "There is one episode: the intervals say nothing of how others would differ."
