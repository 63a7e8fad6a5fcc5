"""The pictures of a comparison in simulation."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.cell_figures import CellFigures
from dvla_ros.evaluation.conditions import AXES, NOMINAL
from dvla_ros.evaluation.statistics import wilson_interval

_DPI = 110
_COLUMNS = 3


def plot_success(figures: Sequence[CellFigures], path: Path) -> None:
    """Success of each variant with its 95 % interval, a colour for each family, under the first condition."""
    shown = [f for f in figures if f.condition == figures[0].condition]
    variants, families = (list(dict.fromkeys(getattr(f, name) for f in shown)) for name in ("variant", "family"))
    figure = Figure(figsize=(8.0, 1.2 + 0.32 * len(variants)), layout="constrained")
    axes = figure.subplots()
    for number, family in enumerate(families):
        shift = 0.5 * ((number + 0.5) / len(families) - 0.5)
        group = [f for f in shown if f.family == family]
        places = [variants.index(f.variant) + shift for f in group]
        axes.errorbar(*_rates(group), places, xerr=_errors(group), fmt="o", capsize=3, color=f"C{number}", label=family)
    axes.set_yticks(range(len(variants)), variants)
    axes.set(xlim=(-2, 102), xlabel=f"% of episodes ({shown[0].condition}), 95 % interval")
    axes.invert_yaxis()
    axes.grid(axis="x", linewidth=0.4)
    axes.legend(loc="lower left", frameon=False)
    _save(figure, path)


def plot_fall_off(figures: Sequence[CellFigures], path: Path) -> None:
    """Success of each variant along each axis, all families together; strength 0 is nominal.

    Raises:
        ConfigurationError: There is no condition but the nominal one.
    """
    found = [axis for axis in AXES if any(f.axis == axis for f in figures)]
    if not found:
        raise ConfigurationError("A plot of the fall-off needs conditions beside the nominal one; name some.")
    columns = min(_COLUMNS, len(found) + 1)
    rows = -(-(len(found) + 1) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.0 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, axis in zip(grid, found, strict=False):
        _fall_off(axes, [f for f in figures if f.axis in (axis, NOMINAL)], axis)
    handles, labels = grid[0].get_legend_handles_labels()
    for axes in grid[len(found) :]:
        axes.set_axis_off()
    grid[len(found)].legend(handles, labels, loc="center", frameon=False)
    _save(figure, path)


def _fall_off(axes: Axes, figures: Sequence[CellFigures], axis: str) -> None:
    variants = list(dict.fromkeys(f.variant for f in figures))
    colours = colormaps["tab20"].colors  # type: ignore[attr-defined]
    for number, variant in enumerate(variants):
        strengths = sorted({f.strength for f in figures if f.variant == variant})
        counts = [_pooled([f for f in figures if (f.variant, f.strength) == (variant, s)]) for s in strengths]
        colour = colours[number % len(colours)]
        bounds = [wilson_interval(*count) for count in counts]
        rates = [100.0 * successes / episodes for successes, episodes in counts]
        axes.plot(strengths, rates, "o-", color=colour, label=variant)
        lows, highs = zip(*((100.0 * low, 100.0 * high) for low, high in bounds), strict=True)
        axes.fill_between(strengths, lows, highs, color=colour, alpha=0.12, linewidth=0)
    axes.set(xlabel=f"{axis}: {AXES[axis].about}", ylabel="success, %", ylim=(-2, 102))
    axes.xaxis.label.set_wrap(True)
    axes.xaxis.label.set_fontsize("small")
    axes.grid(linewidth=0.4)


def _pooled(figures: Sequence[CellFigures]) -> tuple[int, int]:
    return sum(f.successes for f in figures), sum(f.episodes for f in figures)


def _rates(figures: Sequence[CellFigures]) -> tuple[list[float]]:
    return ([100.0 * f.successes / f.episodes for f in figures],)


def _errors(figures: Sequence[CellFigures]) -> list[list[float]]:
    """Distances to both ends of the intervals, none below zero by rounding."""
    rates = [f.successes / f.episodes for f in figures]
    lows = [100.0 * max(0.0, rate - f.wilson_95[0]) for rate, f in zip(rates, figures, strict=True)]
    highs = [100.0 * max(0.0, f.wilson_95[1] - rate) for rate, f in zip(rates, figures, strict=True)]
    return [lows, highs]


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=_DPI)
