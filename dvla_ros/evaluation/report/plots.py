"""The plots of a report: each takes what was found and gives one SVG."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dvla_ros.evaluation.evaluation_result import EpisodeFacts, VariantResult
from dvla_ros.evaluation.open_loop.sample import Sample
from dvla_ros.evaluation.open_loop.time_offset import OffsetCurve
from dvla_ros.evaluation.report.drawing import RECORDED, as_svg, colour

_COLUMNS = 4
_LEAST_ERROR = 1e-4
"""Smaller errors are drawn small: of a column that never changes only rounding is left."""


@as_svg
def errors_by_row(variants: Sequence[VariantResult]) -> Figure:
    """Mean absolute error of each column against how far ahead the row is due."""
    names = variants[0].names
    rows = -(-len(names) // _COLUMNS)
    figure = Figure(figsize=(10.0, 1.9 * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axes in grid[len(names) :]:
        axes.set_axis_off()
    for column, (axes, name) in enumerate(zip(grid, names, strict=False)):
        for index, variant in enumerate(variants):
            if name in variant.names:
                found = variant.figures.axes[variant.names.index(name)]
                times = variant.dt * np.arange(len(found.mae_by_row))
                axes.plot(times, found.mae_by_row, ".-", color=colour(index), label=variant.name)
        axes.set_title(f"{name} ({variants[0].figures.axes[column].unit})")
        axes.set_ylim(0.0, max(_LEAST_ERROR, axes.get_ylim()[1]))
        axes.set_xlabel("s ahead")
    _legend(figure, grid[0], len(variants))
    return figure


@as_svg
def episode_over_time(episode: EpisodeFacts, variants: Sequence[VariantResult]) -> Figure:
    """Row 0 of each prediction beside what was recorded, column by column, and the error below."""
    names = variants[0].names
    figure = Figure(figsize=(10.0, 0.95 * (len(names) + 1) + 0.5), layout="constrained")
    grid = figure.subplots(len(names) + 1, 1, sharex=True)
    for index, variant in enumerate(variants):
        own = sorted((s for s in variant.samples if s.episode == episode.number), key=lambda sample: sample.anchor)
        if not own or variant.names != names:
            continue
        times = np.array([sample.anchor for sample in own]) - episode.start
        predicted, recorded = _first_rows(own)
        for column, axes in enumerate(grid[:-1]):
            if index == 0:
                axes.plot(times, recorded[:, column], "-", color=RECORDED, label="recorded", linewidth=1.0)
            axes.plot(times, predicted[:, column], ".-", color=colour(index), label=variant.name, linewidth=0.9)
            axes.set_ylabel(names[column])
        grid[-1].plot(times, _scaled_error(variant, own), ".-", color=colour(index), linewidth=0.9)
    grid[-1].set_ylabel("error")
    grid[-1].set_xlabel("s from the start of the episode; error: mean over columns and rows, normalised")
    _legend(figure, grid[0], len(variants) + 1)
    return figure


@as_svg
def reliability(variants: Sequence[VariantResult]) -> Figure:
    """Share of correct values against the confidence; on the diagonal the decoder is as sure as it is right."""
    figure = Figure(figsize=(5.0, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], "--", color=RECORDED, linewidth=0.8)
    for index, variant in enumerate(variants):
        bins = [part for part in variant.figures.calibration.bins if part.count]
        sure, right = [part.confidence for part in bins], [part.correct for part in bins]
        axes.plot(sure, right, "-", color=colour(index), label=variant.name)
        most = max((part.count for part in bins), default=1)
        sizes = [10.0 + 90.0 * part.count / most for part in bins]
        axes.scatter(sure, right, s=sizes, color=colour(index), alpha=0.7)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="share of correct values")
    axes.legend(loc="upper left")
    return figure


@as_svg
def seams(variants: Sequence[VariantResult]) -> Figure:
    """Jumps at the seams beside the changes from row to row within chunks and in the recording."""
    figure = Figure(figsize=(5.0, 4.0), layout="constrained")
    axes = figure.subplots()
    parts = {"jump": "seams, mean", "jump_p95": "seams, 95 %", "inside": "within chunks", "recorded": "recorded"}
    width = 0.8 / len(variants)
    for index, variant in enumerate(variants):
        values = [getattr(variant.figures.seams, name) for name in parts]
        places = np.arange(len(parts)) + (index - 0.5 * (len(variants) - 1)) * width
        axes.bar(places, np.nan_to_num(values), width, color=colour(index), label=variant.name)
    axes.set_xticks(range(len(parts)), list(parts.values()))
    axes.set_ylabel(f"change ({variants[0].figures.seams.unit})")
    axes.legend()
    return figure


@as_svg
def latency(variants: Sequence[VariantResult]) -> Figure:
    """How long predictions take, and how many network evaluations they are."""
    figure = Figure(figsize=(10.0, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    for index, variant in enumerate(variants):
        times = np.sort([1e3 * sample.decode_s for sample in variant.samples])
        left.plot(times, np.arange(1, len(times) + 1) / len(times), color=colour(index), label=variant.name)
        counts = np.sort([sample.nfe for sample in variant.samples])
        right.plot(counts, np.arange(1, len(counts) + 1) / len(counts), color=colour(index), drawstyle="steps-post")
    left.set(xlabel="ms for a prediction", ylabel="share of predictions", ylim=(0, 1.02))
    right.set(xlabel="network evaluations (NFE)", ylim=(0, 1.02))
    left.set_xlim(left=0.0)
    left.legend(loc="lower right")
    return figure


@as_svg
def time_offsets(curves: Sequence[OffsetCurve]) -> Figure:
    """How alike pictures and joints move, by offset, of each camera."""
    figure = Figure(figsize=(10.0, 3.0), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0.0, color=RECORDED, linewidth=0.8, linestyle="--")
    for index, curve in enumerate(curves):
        axes.plot(curve.offsets, curve.correlation, color=colour(index), label=curve.camera)
        best = int(np.argmax(curve.correlation))
        axes.plot(curve.offsets[best], curve.correlation[best], "o", color=colour(index))
    axes.set(xlabel="s that pictures come later than joint states", ylabel="correlation")
    axes.legend()
    return figure


def _first_rows(samples: Sequence[Sample]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([s.predicted[0] for s in samples]), np.array([s.recorded[0] for s in samples])


def _scaled_error(variant: VariantResult, samples: Sequence[Sample]) -> np.ndarray:
    """Mean absolute error of each prediction in units of the scale of its columns, `[n]`."""
    scale = np.array([axis.scale for axis in variant.figures.axes])
    errors = np.abs(np.array([s.predicted for s in samples]) - np.array([s.recorded for s in samples])) / scale
    known = np.isfinite(errors)
    count = known.sum(axis=(1, 2))
    total = np.where(known, errors, 0.0).sum(axis=(1, 2))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _legend(figure: Figure, axes: Axes, count: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(4, count))
