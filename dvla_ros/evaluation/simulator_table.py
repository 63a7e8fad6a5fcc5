"""The table of a comparison in simulation: a row for each condition and variant, a column for each task family."""

from collections.abc import Sequence
from functools import reduce
from operator import add

from dvla_ros.evaluation.cell_figures import CellFigures
from dvla_ros.evaluation.markdown_table import FigureTable

ABOUT = "what it is"
_NOTHING = "–"


def comparison_table(figures: Sequence[CellFigures]) -> FigureTable:
    """All cells, condition by condition.

    The column "against the first" counts the scenes of all families where only this variant succeeds (+) and where only
    the first one does (−).
    """
    families = list(dict.fromkeys(f.family for f in figures))
    conditions, variants = (list(dict.fromkeys(getattr(f, name) for f in figures)) for name in ("condition", "variant"))
    rows = []
    for condition in conditions:
        for variant in variants:
            group = {f.family: f for f in figures if (f.condition, f.variant) == (condition, variant)}
            if group:
                rows.append((condition, variant, *_cells(group, families)))
    tail = ("collisions", "wrong cube", "against the first", "p", "NFE", "decode p50 ms", "p95 ms", "refused")
    return FigureTable(("condition", "variant", ABOUT, *families, *tail), tuple(rows))


def _cells(group: dict[str, CellFigures], families: Sequence[str]) -> tuple[str, ...]:
    of = list(group.values())
    chunks = sum(f.chunks for f in of)
    paired = reduce(add, (f.against_first for f in of)) if all(f.against_first for f in of) else None
    return (
        of[0].about,
        *(success(group[family]) if family in group else _NOTHING for family in families),
        str(sum(f.outcomes.get("collision", 0) for f in of)),
        str(sum(f.outcomes.get("wrong_object", 0) for f in of)),
        _NOTHING if paired is None else f"+{paired.better} −{paired.worse}",
        _NOTHING if paired is None else f"{paired.p:.2g}",
        f"{sum(f.nfe * f.chunks for f in of) / chunks:.1f}",
        f"{max(f.decode_ms_p50 for f in of):.0f}",
        f"{max(f.decode_ms_p95 for f in of):.0f}",
        f"{sum(f.malformed + f.rejected for f in of)} of {chunks}",
    )


def success(figures: CellFigures) -> str:
    """Successes of episodes, and the 95 % interval of the rate."""
    low, high = figures.wilson_95
    return f"{figures.successes} of {figures.episodes} ({100 * low:.0f}–{100 * high:.0f} %)"
