"""`dvla benchmark-libero` records every episode once, goes on where it stopped, and says what came out and of what."""

import json
import sys

import libero_stand_in
import pytest
import yaml

from dvla_ros.benchmark_libero_command import BenchmarkLibero
from dvla_ros.cli import main
from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.libero.episodes import LiberoEpisodes

CHECKPOINT = "checkpoints/widowx_dd_vla_small"
PAGE = "# Page\n\n<!-- libero: begin -->\n<!-- libero: end -->\n"


@pytest.fixture
def words(tmp_path):
    """The command with a stand-in for LIBERO's environment."""
    python = tmp_path / ".libero" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{libero_stand_in.__file__}"\n')
    python.chmod(0o755)
    places = ["--environment", str(tmp_path / ".libero"), "--record", str(tmp_path / "record")]
    return ["benchmark-libero", CHECKPOINT, *places, "--max-steps", "6", "--episodes", "2"]


def error_of(words, capsys):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    return error


def test_the_command_runs_what_is_missing_and_writes_everything(words, tmp_path, capsys):
    page, result, lines = tmp_path / "page.md", tmp_path / "result.json", tmp_path / "record" / "libero_spatial.jsonl"
    page.write_text(PAGE)
    assert main([*words, "--tasks", "0", "3"]) == 0
    before = lines.read_text().splitlines()
    assert len(before) == 4
    lines.write_text("\n".join(before[:-1]) + "\n")  # as if it had been killed in the last episode
    assert main([*words, "--tasks", "0", "3", "--json", str(result), "--write", str(page)]) == 0
    after = lines.read_text().splitlines()
    assert after[:3] == before[:3] and len(after) == 4
    values = json.loads(result.read_text())
    assert [(row["task"], row["successes"], row["episodes"]) for row in values["figures"]] == [
        (0, 2, 2),
        (3, 0, 2),
        (-1, 2, 4),
    ]
    assert values["command"].startswith(f"dvla benchmark-libero {CHECKPOINT}") and values["differences"]
    assert "| libero_spatial | all | 2 of 10 tasks | 2 of 4 (15–85 %)" in page.read_text()
    assert "6 steps an episode, published 220" in page.read_text()
    assert "Not to be put beside published figures" in capsys.readouterr().out


def test_what_is_recorded_is_shown_without_running_anything(words, tmp_path, capsys):
    assert "Nothing is recorded" in error_of([*words, "--tasks", "3", "--no-run"], capsys)
    assert main([*words, "--tasks", "3"]) == 0
    log = tmp_path / "record" / "simulator.log"
    log.unlink()
    assert main([*words, "--tasks", "3", "--no-run"]) == 0
    assert "0 of 2" in capsys.readouterr().out and not log.exists()


def test_several_suites_are_run_one_after_the_other(words, tmp_path):
    assert main([*words, "--suite", "libero_goal", "libero_10", "--tasks", "1"]) == 0
    assert sorted(path.name for path in (tmp_path / "record").glob("*.jsonl")) == [
        "libero_10.jsonl",
        "libero_goal.jsonl",
    ]


def test_a_simulator_that_dies_is_one_line_that_names_its_log_and_loses_nothing(words, tmp_path, capsys):
    error = error_of([*words, "--tasks", "3", "8"], capsys)
    assert "exit code 9" in error and str(tmp_path / "record" / "simulator.log") in error
    assert len((tmp_path / "record" / "libero_spatial.jsonl").read_text().splitlines()) == 2


def test_an_interruption_keeps_what_was_done(words, tmp_path, monkeypatch):
    episode = LiberoEpisodes.episode

    def interrupted(self, task, initial_state):
        if initial_state == 1:
            raise KeyboardInterrupt
        return episode(self, task, initial_state)

    monkeypatch.setattr(LiberoEpisodes, "episode", interrupted)
    assert main([*words, "--tasks", "3"]) == 130
    assert len((tmp_path / "record" / "libero_spatial.jsonl").read_text().splitlines()) == 1


def test_without_libero_nothing_is_loaded_and_the_way_to_it_is_said(tmp_path, capsys):
    error = error_of(["benchmark-libero", "/nowhere", "--environment", str(tmp_path)], capsys)
    assert error == f"error: There is no LIBERO in {tmp_path}; type: make libero\n"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--suite", "libero_kitchen"], "no suite 'libero_kitchen'"),
        (["--tasks", "12"], "has the tasks 0..9"),
        (["--execute-steps", "99"], "execute_steps must be 1.."),
        (["--threads", "0"], "threads must be 1 or more"),
        (["--decoding", "num_steps"], "name=value"),
        (["--device", "tpu"], "no device 'tpu'"),
    ],
)
def test_a_wrong_input_is_one_clear_line(words, more, message, capsys):
    assert message in error_of([*words, *more], capsys)


def test_pictures_are_not_turned_twice(tmp_path):
    deployment = tmp_path / "deployment.yaml"
    deployment.write_text(yaml.safe_dump({"rotate_180": True}))
    with pytest.raises(ConfigurationError, match="turns LIBERO's pictures already; leave one out"):
        _ = BenchmarkLibero(tmp_path, deployment).used
    assert BenchmarkLibero(tmp_path, deployment, rotate=False).used.rotate_180
