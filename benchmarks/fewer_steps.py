"""Success in simulation against network evaluations, for every way to take fewer denoising steps, in the same scenes.

Examples:
    .venv/bin/python benchmarks/fewer_steps.py --episodes 21
    .venv/bin/python benchmarks/fewer_steps.py --episodes 51 --only "dd_vla*"
    .venv/bin/python benchmarks/fewer_steps.py --episodes 51 --no-run --write docs/benchmarks.md \
        --plot docs/images/fewer_steps.png

The points are in `dvla_ros/evaluation/fewer_steps.py`. Every episode is added to a file at once, one file per point:
the same command goes on where it was interrupted, and several processes may run at the same time. The tables show all
that is recorded for these episodes, whatever `--only` says.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from publish import show, wide_console, write_json, write_page
from steps_plot import Point, draw
from variant_record import ScenesConfig, VariantRecord, run_all

from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.evaluation.fewer_steps import OWN, STEP_VARIANTS, StepVariant
from dvla_ros.evaluation.markdown_table import FigureTable
from dvla_ros.evaluation.simulated import summarise
from dvla_ros.evaluation.statistics import wilson_interval
from dvla_ros.evaluation.variants import chosen
from dvla_ros.provenance import machine_line, machine_name

HEADINGS = ("system", "rule", "setting", "NFE", "NFE ratio", "success", "95 % interval", "rejected")
ENOUGH, HALF = 0.02, 0.5
"""The target: a success rate within 2 points of the own decoder's at half its evaluations or fewer."""
console = wide_console()


@dataclass(frozen=True)
class FewerStepsConfig(ScenesConfig):
    """Compare ways to take fewer steps.

    Attributes:
        least: Points of which fewer episodes are recorded are not shown.
        plot: File for the plot.
        part: Which table of the page is replaced.
    """

    episodes: int = 51
    seed: int = 3000
    record: Path = Path("fewer_steps_record")
    least: int = 1
    plot: Path | None = None
    part: str = "fewer steps"

    def record_at(self, point: StepVariant) -> VariantRecord:
        """What is recorded of a point, and what is missing."""
        return self.record_of(point.variant, point.replanning)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, then print and write the figures of everything recorded."""
    try:
        config = tyro.cli(FewerStepsConfig, args=arguments)
        torch.set_num_threads(1)
        console.print(f"Machine: {machine_line()}")
        if config.run:
            wanted = chosen(tuple(point.variant for point in STEP_VARIANTS), config.only)
            run_all([config.record_at(point) for point in STEP_VARIANTS if point.variant in wanted], console)
        publish(measured(config), config)
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def measured(config: FewerStepsConfig) -> list[Point]:
    """The recorded points, each compared with the own decoder of its system over the scenes that both have.

    Raises:
        ConfigurationError: Too little is recorded of all of them.
    """
    records = [(point, config.record_at(point)) for point in STEP_VARIANTS]
    own = {(point.system, point.going_on): record for point, record in records if point.rule == OWN}
    points = [compared(p, r, own[p.system, p.going_on]) for p, r in records if len(r.episodes) >= config.least]
    if not points:
        raise ConfigurationError(f"Too little is recorded in {config.record} for these scenes; run without --no-run.")
    return points


def compared(point: StepVariant, record: VariantRecord, own: VariantRecord) -> Point:
    """The figures of a point beside those of the own decoder in the same scenes."""
    episodes, others = record.episodes, {(e.task, e.seed): e for e in own.episodes}
    figures = summarise(episodes)
    same = [e for e in episodes if (e.task, e.seed) in others]
    beside = summarise([others[e.task, e.seed] for e in same]) if same else {}
    successes = sum(e.outcome == "success" for e in episodes)
    return Point(
        name=point.variant.name,
        system=point.system,
        rule=point.rule,
        setting=point.setting,
        going_on=point.going_on,
        episodes=len(episodes),
        successes=successes,
        interval=wilson_interval(successes, len(episodes)),
        nfe=figures["nfe"],
        nfe_ratio=figures["nfe"] / beside.get("nfe", float("nan")),
        lost=beside.get("success_rate", float("nan")) - (sum(e.outcome == "success" for e in same) / max(1, len(same))),
        rejected=figures["chunks_rejected"],
        decoding=dict(point.variant.decoding),
    )


def publish(points: Sequence[Point], config: FewerStepsConfig) -> None:
    """Print the table, and write what is asked for."""
    table = FigureTable(HEADINGS, tuple(cells(point, config.episodes) for point in points))
    show(console, table, f"Success against evaluations, scenes from seed {config.seed}", leave_out="")
    if config.json is not None:
        figures = [vars(point) for point in points]
        write_json(console, config.json, {"machine": machine_name(), "seed": config.seed, "points": figures})
    if config.plot is not None:
        draw(points, config.episodes, config.plot)
        console.print(f"Wrote {config.plot}.")
    if config.write is not None:
        write_page(console, config.write, config.part, table, below(points, config))


def cells(point: Point, wanted: int) -> tuple[str, ...]:
    """One point as text; in bold what meets the target in all episodes."""
    low, high = point.interval
    own = point.rule == OWN
    meets = not own and point.episodes == wanted and point.lost <= ENOUGH and point.nfe_ratio <= HALF
    return (
        point.system + (", going on" if point.going_on else ""),
        point.rule,
        f"**{point.setting}**" if meets else point.setting,
        f"{point.nfe:.1f}",
        f"{point.nfe_ratio:.2f}",
        f"{point.successes} of {point.episodes}",
        f"{100 * low:.0f}–{100 * high:.0f} %",
        str(point.rejected),
    )


def below(points: Sequence[Point], config: FewerStepsConfig) -> str:
    """The line below the table."""
    fewest = min(point.episodes for point in points)
    counts = f"{fewest} to {config.episodes}" if fewest < config.episodes else str(config.episodes)
    return (
        f"Tasks: {', '.join(config.tasks)}; {counts} episodes a point, from seed {config.seed}. In bold: in all "
        f"{config.episodes} within {100 * ENOUGH:.0f} points of the own decoder, at {HALF:g} of its evaluations or "
        f"fewer. {machine_name()}."
    )


if __name__ == "__main__":
    sys.exit(main())
