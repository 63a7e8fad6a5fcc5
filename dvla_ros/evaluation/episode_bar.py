"""The bar behind which many episodes run, and a console that is wide enough for their tables."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_WIDTH = 200
_SPEED_WINDOW_S = 1200.0
"""The time that remains is told from so many seconds: episodes differ by a factor of ten."""


def wide_console() -> Console:
    """For tables of many columns; longer lines are not broken."""
    return Console(soft_wrap=True, width=max(Console().width, _WIDTH))


def episode_bar(console: Console) -> Progress:
    """Done, of how many, for how long, and how long still."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    said = TextColumn("{task.description}")
    return Progress(*columns, said, console=console, speed_estimate_period=_SPEED_WINDOW_S)
