"""Writes what an evaluation found into a folder."""

import json
from dataclasses import dataclass
from pathlib import Path

from dvla_ros.evaluation.evaluation_result import EvaluationResult
from dvla_ros.evaluation.report.facts import facts
from dvla_ros.evaluation.report.page import page
from dvla_ros.evaluation.report.summary import markdown


@dataclass(frozen=True)
class WrittenReport:
    """What was written: the files, and the figures as JSON has them."""

    files: tuple[Path, ...]
    facts: dict[str, object]


def write_report(result: EvaluationResult, folder: Path) -> WrittenReport:
    """Write `report.html`, `report.md` and `report.json`; files of these names are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    found = facts(result)
    texts = {
        "report.html": page(result),
        "report.md": markdown(result),
        "report.json": json.dumps(found, indent=1, allow_nan=False) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return WrittenReport(tuple(folder / name for name in texts), found)
