"""The pictures of the benchmark."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dvla_ros.evaluation.decode.growth import CURVES, Point
from dvla_ros.evaluation.decode.row import Row

_OWN, _BASELINE, _FLOOR = "#0072b2", "#d55e00", "#009e73"
_LABELS = {
    "prefix": "positions before the canvas",
    "canvas": "tokens of the canvas",
    "steps": "denoising steps",
    "cameras": "cameras",
    "batch": "chunks at once",
}
_DPI = 110


def plot_rows(rows: Sequence[Row], path: Path) -> None:
    """From the floor of each row to what was measured, on a logarithmic scale."""
    figure = Figure(figsize=(9.0, 0.9 + 0.26 * len(rows)), layout="constrained")
    axes = figure.subplots()
    places = list(range(len(rows)))
    measured, floors = ([getattr(row, name) for row in rows] for name in ("chunk_ms_p50", "floor_ms"))
    colours = [_BASELINE if "published" in row.cache else _OWN for row in rows]
    axes.hlines(places, floors, measured, color=colours, linewidth=1.5)
    axes.scatter(measured, places, color=colours, s=45)
    axes.plot(floors, places, "|", color=_FLOOR, markersize=12, markeredgewidth=2.5)
    axes.set_yticks(places, [f"{row.system} {row.size}: {row.cache}" for row in rows])
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="ms per chunk (dot: median; green: the floor of this device)")
    axes.grid(axis="x", linewidth=0.4)
    axes.set_axisbelow(True)
    _save(figure, path)


def plot_growth(points: Sequence[Point], path: Path) -> None:
    """One small plot for each size that grows; dots are measured, lines are the floors."""
    figure = Figure(figsize=(11.0, 5.6), layout="constrained")
    grid = figure.subplots(2, 3).ravel()
    for axes, curve in zip(grid, CURVES, strict=False):
        _curve(axes, [point for point in points if point.curve == curve], _LABELS[curve])
    handles, labels = grid[0].get_legend_handles_labels()
    for axes in grid[len(CURVES) :]:
        axes.set_axis_off()
        axes.legend(handles, labels, loc="center", frameon=False)
    _save(figure, path)


def _curve(axes: Axes, points: Sequence[Point], label: str) -> None:
    values = [point.value for point in points]
    axes.plot(values, [point.published_ms for point in points], "o", color=_BASELINE, label="published way")
    axes.plot(values, [point.published_floor_ms for point in points], "--", color=_BASELINE, label="its floor")
    axes.plot(values, [point.chunk_ms for point in points], "o", color=_OWN, label="exact prefix")
    axes.plot(values, [point.floor_ms for point in points], "-", color=_OWN, label="its floor")
    axes.set(xlabel=label, ylabel="ms per chunk", yscale="log")
    axes.grid(linewidth=0.4)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=_DPI)
