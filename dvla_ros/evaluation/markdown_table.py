"""Tables of measured figures in Markdown, and the place in a page where a program keeps one up to date."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dvla_ros.errors import ConfigurationError


@dataclass(frozen=True)
class FigureTable:
    """Headings and rows of text, to be shown on a screen or in a page.

    Attributes:
        headings: One per column.
        rows: Cells.

    Raises:
        ConfigurationError: A row has another number of cells.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.headings):
                raise ConfigurationError(f"A row needs {len(self.headings)} cells, got {len(row)}: {row}.")

    def markdown(self) -> str:
        """The table in Markdown, without a final line break."""
        return "\n".join([_line(self.headings), "|" + "---|" * len(self.headings), *map(_line, self.rows)])


def has_part(path: Path, name: str) -> bool:
    """Whether a page has a place for a part, see `rewrite_part`."""
    return f"<!-- {name}: begin -->" in path.read_text()


def rewrite_part(path: Path, name: str, content: str) -> None:
    """Replace what stands in a page between `<!-- name: begin -->` and `<!-- name: end -->`.

    Raises:
        ConfigurationError: There is no such page, or the two comments are not in it once each, in this order.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if not path.is_file():
        raise ConfigurationError(f"There is no page {path} to write into; pass the path of an existing one.")
    text = path.read_text()
    parts = re.split(f"({re.escape(begin)}|{re.escape(end)})", text)
    if parts[1::2] != [begin, end]:
        raise ConfigurationError(f"{path} needs the lines '{begin}' and '{end}' once each, in this order.")
    path.write_text(f"{parts[0]}{begin}\n{content}\n{end}{parts[4]}")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
