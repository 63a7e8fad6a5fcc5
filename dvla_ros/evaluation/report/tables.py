"""The tables of a report."""

from collections.abc import Callable
from dataclasses import dataclass

from dvla_ros.evaluation.evaluation_result import EvaluationResult, VariantResult
from dvla_ros.evaluation.markdown_table import FigureTable
from dvla_ros.evaluation.open_loop.open_loop_figures import OpenLoopFigures
from dvla_ros.evaluation.report.words import UNKNOWN, number, percent, with_interval

DIFFERENCE = "error less that of the first"
"""Line of the side-by-side table where there are several variants."""


@dataclass(frozen=True)
class Figure:
    """A line of the side-by-side table.

    Attributes:
        name: What is shown.
        about: What it means, in a sentence.
        of: Its words for one variant.
    """

    name: str
    about: str
    of: Callable[[OpenLoopFigures], str]


def _difference(variant: VariantResult) -> str:
    return with_interval(variant.mae_difference, variant.mae_difference_interval)


def _delay(figures: OpenLoopFigures) -> str:
    gripper = figures.gripper
    if gripper is None:
        return UNKNOWN
    counts = f"{gripper.matched} of {gripper.changes} changes, {gripper.surplus} surplus"
    return f"{number(round(gripper.delay_s, 3))} s ({counts})"


def _jerk(figures: OpenLoopFigures) -> str:
    seams = figures.seams
    return number(seams.jerk_rms / seams.recorded_jerk_rms) if seams.recorded_jerk_rms > 0.0 else UNKNOWN


def _decode(figures: OpenLoopFigures) -> str:
    return f"{number(figures.decode_ms_p50)} ms (95 %: {number(figures.decode_ms_p95)})"


FIGURES = (
    Figure(
        "mean absolute error",
        "over all rows and columns, each in its own unit (m, rad, opening)",
        lambda f: with_interval(f.mae, f.intervals.mae),
    ),
    Figure("RMSE", "root of the mean square error over the same", lambda f: with_interval(f.rmse, f.intervals.rmse)),
    Figure(
        "normalised error",
        "RMSE in units of how much the recorded actions vary; 1: as bad as always taking their mean",
        lambda f: with_interval(f.normalised_error, f.intervals.normalised_error),
    ),
    Figure(
        "direction agreement",
        "mean cosine between predicted and recorded motion where the arm moves; 1 is best",
        lambda f: with_interval(f.direction, f.intervals.direction),
    ),
    Figure(
        "gripper accuracy",
        "rows with the gripper on the right side of half open",
        lambda f: with_interval(f.gripper_accuracy, f.intervals.gripper_accuracy, True),
    ),
    Figure(
        "gripper delay",
        "median of predicted less recorded time of opening and closing, s; above zero is late",
        _delay,
    ),
    Figure(
        "seam jump",
        "mean jump where one chunk takes over from another, m or rad",
        lambda f: with_interval(f.seam_jump, f.intervals.seam_jump),
    ),
    Figure("jerk", "of the joined predictions over that of the recording", _jerk),
    Figure(
        "calibration error",
        "mean distance between the decoder's confidence and the share of correct values (ECE); 0 is best",
        lambda f: with_interval(f.ece, f.intervals.ece),
    ),
    Figure("network evaluations", "mean of a prediction (NFE)", lambda f: number(f.nfe)),
    Figure("time of a prediction", "median, and 95th percentile", _decode),
    Figure(
        "real-time factor",
        "seconds of recording per second of reading, aligning and predicting",
        lambda f: number(f.realtime_factor),
    ),
    Figure("malformed", "predictions whose tokens were not what an encoder writes", lambda f: str(f.malformed)),
)


def summary_table(result: EvaluationResult) -> FigureTable:
    """Figures by variant, one line each."""
    rows = [(figure.name, *(figure.of(v.figures) for v in result.variants)) for figure in FIGURES]
    if len(result.variants) > 1:
        rows.insert(1, (DIFFERENCE, UNKNOWN, *(_difference(v) for v in result.variants[1:])))
    rows.append(("asked again", *(replay_words(v) for v in result.variants)))
    return FigureTable(("", *(v.name for v in result.variants)), tuple(rows))


def axis_table(variant: VariantResult) -> FigureTable:
    """Errors of each column."""
    rows = tuple(
        (
            axis.name,
            axis.unit,
            number(axis.mae),
            number(axis.rmse),
            number(axis.bias),
            number(axis.p95),
            number(axis.normalised_error),
            percent(axis.outside),
        )
        for axis in variant.figures.axes
    )
    headings = ("column", "unit", "MAE", "RMSE", "bias", "95 %", "normalised", "outside of training")
    return FigureTable(headings, rows)


def episode_table(result: EvaluationResult) -> FigureTable:
    """Episodes, with the error of each variant."""
    errors = [{e.episode: e for e in v.figures.by_episode} for v in result.variants]
    rows = []
    for episode in result.episodes:
        own = [number(found[episode.number].mae) if episode.number in found else UNKNOWN for found in errors]
        facts = (f"{episode.bag.name} {episode.index}", episode.instruction, f"{episode.seconds:.1f}", episode.split_by)
        rows.append((str(episode.number), *facts, *own))
    headings = ("episode", "recording", "instruction", "s", "told apart by")
    return FigureTable((*headings, *(f"MAE {v.name}" for v in result.variants)), tuple(rows))


def replay_words(variant: VariantResult) -> str:
    """How a policy answered recorded questions, in a few words."""
    again = variant.replay
    if again.count == 0:
        return UNKNOWN
    if again.exact:
        return f"all {again.count} answers identical"
    return f"{again.differing_chunks} of {again.count} answers differ, by up to {number(again.max_action_error)}"
