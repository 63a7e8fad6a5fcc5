"""A plot of success against network evaluations, one panel for each system."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dvla_ros.evaluation.fewer_steps import OWN
from dvla_ros.evaluation.report.drawing import colour

_MARKERS = "oDv^s<P>Xph"


@dataclass(frozen=True)
class Point:
    """One measured point.

    Attributes:
        name: Of its file.
        system: Whose weights.
        rule: What kind of rule.
        setting: Its setting, in a few words.
        going_on: Whether the arm moved while a chunk was inferred.
        episodes: How many.
        successes: That ended as asked.
        interval: Wilson's 95 % interval of the success rate.
        nfe: Network evaluations of a chunk, mean.
        nfe_ratio: To those of the system's own decoder in the same scenes.
        lost: Success rate of the own decoder in the same scenes minus this one's.
        rejected: Chunks that the safety gate refused.
        decoding: Settings that replace the checkpoint's.
    """

    name: str
    system: str
    rule: str
    setting: str
    going_on: bool
    episodes: int
    successes: int
    interval: tuple[float, float]
    nfe: float
    nfe_ratio: float
    lost: float
    rejected: int
    decoding: Mapping[str, object]


def draw(points: Sequence[Point], wanted: int, path: Path) -> None:
    """Write the plot of all points at rest; those of fewer episodes than wanted are hollow."""
    shown = [point for point in points if not point.going_on]
    systems = list(dict.fromkeys(point.system for point in shown))
    rules = list(dict.fromkeys(point.rule for point in shown if point.rule != OWN))
    figure = Figure(figsize=(3.4 * len(systems), 4.2), layout="constrained")
    panels = figure.subplots(1, len(systems), sharey=True, squeeze=False)[0]
    for axes, system in zip(panels, systems, strict=True):
        panel(axes, system, [point for point in shown if point.system == system], rules, wanted)
    panels[0].set_ylabel("success, %")
    labelled = {label: handle for a in panels for handle, label in zip(*a.get_legend_handles_labels(), strict=True)}
    figure.legend(labelled.values(), labelled, loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def panel(axes: Axes, system: str, points: Sequence[Point], rules: Sequence[str], wanted: int) -> None:
    """The points of one system; the own decoder is a star, with half its evaluations and what may be lost."""
    for point in points:
        own = point.rule == OWN
        index = rules.index(point.rule) if not own else 0
        rate, (low, high) = point.successes / point.episodes, point.interval
        axes.errorbar(
            point.nfe,
            100 * rate,
            yerr=[[100 * max(0.0, rate - low)], [100 * max(0.0, high - rate)]],
            fmt="*" if own else _MARKERS[index % len(_MARKERS)],
            color="black" if own else colour(index),
            alpha=0.85,
            markerfacecolor=None if point.episodes >= wanted else "white",
            zorder=3 if point.episodes >= wanted else 2,
            markersize=13 if own else 6,
            elinewidth=0.5,
            label=point.rule,
        )
        if own:
            axes.axvline(point.nfe / 2, color="grey", linewidth=0.7, linestyle=":", label="half the evaluations")
            axes.axhline(100 * rate - 2, color="grey", linewidth=0.7, linestyle="--", label="own − 2 points")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_title(system)
    axes.set_xlabel("network evaluations of a chunk")
    axes.grid(alpha=0.3, linewidth=0.5)
