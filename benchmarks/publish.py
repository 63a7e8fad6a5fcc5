"""Where figures go: the screen, a JSON file, a page of the documentation."""

import json
from collections.abc import Mapping
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from dvla_ros.evaluation.json_numbers import known
from dvla_ros.evaluation.markdown_table import FigureTable, rewrite_part

_WIDTH = 160


def wide_console() -> Console:
    """A console on which the tables keep their lines; a narrower screen wraps them."""
    return Console(soft_wrap=True, width=max(Console().width, _WIDTH))


def show(console: Console, table: FigureTable, title: str, leave_out: str) -> None:
    """Print a table without the column `leave_out`, which only a page has room for."""
    shown = Table(title=title, box=box.SIMPLE)
    kept = [index for index, heading in enumerate(table.headings) if heading != leave_out]
    for index in kept:
        shown.add_column(table.headings[index], no_wrap=True, justify="left" if index == 0 else "right")
    for row in table.rows:
        shown.add_row(*(row[index] for index in kept))
    console.print(shown)


def write_json(console: Console, path: Path, figures: Mapping[str, object]) -> None:
    """Write the figures, null where a number is not known."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known(figures), indent=1, allow_nan=False) + "\n")
    console.print(f"Wrote {path}.")


def write_page(console: Console, page: Path, part: str, table: FigureTable, below: str) -> None:
    """Put the table into its part of a page, with a line below it.

    Raises:
        ConfigurationError: The page or the part's comments are not there.
    """
    rewrite_part(page, part, f"{table.markdown()}\n\n{below}")
    console.print(f"Wrote the table into {page}.")
