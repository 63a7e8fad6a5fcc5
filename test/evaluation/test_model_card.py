"""A model card is written by a command: what is known is renewed, what a person wrote stays."""

import json
import shutil
from pathlib import Path

import pytest

from dvla_ros.cli import main
from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.model_card import CARD, results_part, training_part, write_card
from dvla_ros.training.history import Stage, write_history

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "checkpoints" / "widowx_dd_vla_small"
ROS, SIMULATED = (ROOT / "benchmarks" / "results" / f"{name}.json" for name in ("ros_pick", "simulator_recordings"))
SETTINGS = {"data": ["data/a", "data/b"], "freeze_perception": True, "init": "first", "frames": 9785, "examples": 64}
STAGE = Stage(SETTINGS, 600, 2, 240.0, {"total": 1.25}, "a machine", "0.1.0")


@pytest.fixture
def checkpoint(tmp_path):
    """The shipped checkpoint without its card, and with a history."""
    folder = tmp_path / "mine"
    shutil.copytree(SHIPPED, folder, ignore=shutil.ignore_patterns(CARD))
    write_history(folder, [STAGE])
    return folder


def test_a_new_card_tells_contents_runs_and_figures(checkpoint):
    assert main(["model-card", str(checkpoint), "--results", str(ROS), str(SIMULATED)]) == 0
    text = (checkpoint / CARD).read_text()
    assert text.startswith("---\nlibrary_name: dvla_ros\n")
    assert "| system | dd_vla |" in text and "8 actions of 0.2 s, 3 executed" in text
    assert "| 1 | 9 785 | 600 x 64 | 1.250 | 4 min | 2 on a machine |" in text
    assert "dvla_ros.cli train --data data/a data/b --freeze-perception --init first" in text
    pick = json.loads(ROS.read_text())["by_family"]["pick"]
    assert f"| pick | {pick['successes']} of {pick['episodes']} |" in text
    cell = json.loads(SIMULATED.read_text())["cells"][0]
    assert f"| {cell['variant']}, nominal | {cell['family']} | {cell['successes']} of {cell['episodes']} |" in text


def test_without_figures_a_new_card_says_how_to_get_them(checkpoint):
    assert "Not measured yet" in write_card(checkpoint, None, ()).read_text()


def test_what_a_person_wrote_stays_and_so_do_figures_that_are_not_renewed(checkpoint):
    card = write_card(checkpoint, None, (ROS,))
    card.write_text(card.read_text().replace("Say here", "For the table in the lab. Say here"))
    before = card.read_text()
    write_history(checkpoint, [STAGE, STAGE])
    write_card(checkpoint, None, ())
    after = card.read_text()
    assert "For the table in the lab." in after and "| 2 | 9 785 |" in after
    assert after.split("## How well it works")[1] == before.split("## How well it works")[1]


def test_only_the_parts_that_are_there_are_renewed(checkpoint):
    card = checkpoint / CARD
    page = "# Mine\n<!-- training: begin -->\n{}<!-- training: end -->\nend\n"
    card.write_text(page.format(""))
    write_card(checkpoint, None, (ROS,))
    assert card.read_text() == page.format(training_part([STAGE]) + "\n")


def test_a_card_without_a_part_is_left_alone(checkpoint):
    (checkpoint / CARD).write_text("# Mine\n")
    with pytest.raises(ConfigurationError, match="no part to write"):
        write_card(checkpoint, None, ())
    assert (checkpoint / CARD).read_text() == "# Mine\n"


def test_a_checkpoint_without_history_says_so():
    assert training_part(()) == "The folder does not tell how it was trained."


@pytest.mark.parametrize("text", [None, "", "{}", '{"cells": [{}]}'])
def test_a_file_without_results_is_named(tmp_path, text):
    path = tmp_path / "some.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"some\.json holds no results"):
        results_part(path)
