"""Plots as SVG that stands in a page: no addresses of the network, and lines in the colours of the page."""

import functools
import io
import re
from collections.abc import Callable
from typing import Any, ParamSpec

import matplotlib
from matplotlib.figure import Figure

_P = ParamSpec("_P")

RECORDED = "#010203"
"""Drawn in the colour of the page's text."""
_FAINT = "#040506"
"""Drawn in the colour of the page's lines."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Of variants, in turn; told apart by people who see few colours, too (Okabe and Ito)."""

_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "dvla",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": RECORDED,
    "axes.labelcolor": RECORDED,
    "axes.titlecolor": RECORDED,
    "axes.titlesize": 9.0,
    "axes.edgecolor": _FAINT,
    "axes.grid": True,
    "grid.color": _FAINT,
    "grid.linewidth": 0.5,
    "xtick.color": RECORDED,
    "ytick.color": RECORDED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
}


def colour(index: int) -> str:
    """Of the variant with this number."""
    return COLOURS[index % len(COLOURS)]


def as_svg(plot: Callable[_P, Figure]) -> Callable[_P, str]:
    """A plot in the style of the report, as an `<svg>` element for a page of HTML 5."""

    @functools.wraps(plot)
    def drawn(*arguments: _P.args, **names: _P.kwargs) -> str:
        with matplotlib.rc_context(_STYLE):
            return _element(plot(*arguments, **names))

    return drawn


def _element(figure: Figure) -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\s(?:xmlns(?::\w+)?|version)="[^"]*"', "", text)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)  # would hold for the whole page
    text = text.replace("xlink:href", "href")
    text = text.replace(RECORDED, "currentColor").replace(_FAINT, "var(--line)")
    return text.strip()
