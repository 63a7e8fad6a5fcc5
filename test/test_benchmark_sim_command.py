"""`dvla benchmark-sim` records every episode once, goes on where it stopped, and says what came out."""

import json
from dataclasses import replace

import pytest

from dvla_ros.benchmark_sim_command import BenchmarkSim
from dvla_ros.cli import main
from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.cell_figures import figures_of
from dvla_ros.evaluation.simulated import Episode
from dvla_ros.evaluation.simulator_plots import plot_fall_off
from dvla_ros.evaluation.simulator_table import comparison_table

PAGE = "# Page\n\n<!-- simulator: begin -->\n<!-- simulator: end -->\n"


def recorded(options, outcomes):
    """The options' comparison with made-up episodes: `outcomes[variant, condition]` in the order of the scenes."""
    comparison = options.comparison()
    for cell in comparison.cells:
        words = outcomes[cell.variant.name, cell.condition.name]
        for (task, seed), word in zip(cell.record.scenes, words, strict=False):
            cell.record.add(Episode(task, seed, word, "", 4.0, (2, 4), (10.0, 20.0), 1, 0))
    return comparison


YES, NO, HIT = "success", "timeout", "collision"


@pytest.fixture
def options(tmp_path):
    return BenchmarkSim(only="dd_vla,dd_vla.one_shot", episodes=4, conditions=("nominal", "noise:40"), record=tmp_path)


OUTCOMES = {
    ("dd_vla", "nominal"): [YES, YES, YES, NO],
    ("dd_vla.one_shot", "nominal"): [YES, HIT, NO, YES],
    ("dd_vla", "noise:40"): [YES, YES],
    ("dd_vla.one_shot", "noise:40"): [],
}


def test_the_table_counts_cells_and_compares_the_same_scenes(options):
    table = comparison_table(figures_of(recorded(options, OUTCOMES).cells))
    rows = [dict(zip(table.headings, row, strict=True)) for row in table.rows]
    assert [(row["condition"], row["variant"], row["pick"]) for row in rows] == [
        ("nominal", "dd_vla", "3 of 4 (30–95 %)"),
        ("nominal", "dd_vla.one_shot", "2 of 4 (15–85 %)"),
        ("noise:40", "dd_vla", "2 of 2 (34–100 %)"),
    ]
    assert (rows[1]["against the first"], rows[1]["p"], rows[1]["collisions"]) == ("+1 −2", "1", "1")
    assert (rows[1]["NFE"], rows[1]["decode p50 ms"], rows[1]["refused"]) == ("3.0", "15", "4 of 8")


def test_what_is_recorded_is_found_again_under_its_own_condition_only(options):
    recorded(options, OUTCOMES)
    missing = {(c.variant.name, c.condition.name): len(c.record.missing) for c in options.comparison().cells}
    assert missing == {key: 4 - len(words) for key, words in OUTCOMES.items()}
    other = replace(options, whole_chunks=True)
    assert all(not cell.record.episodes for cell in other.comparison().cells)


def test_families_have_their_own_episodes(tmp_path):
    options = BenchmarkSim(only="dd_vla", episodes=4, tasks=("put", "pick"), seed=9, record=tmp_path)
    scenes = {cell.family: cell.record.scenes for cell in options.comparison().cells}
    assert scenes["pick"] == [("pick_red", 9), ("pick_green", 9), ("pick_blue", 9), ("pick_red", 10)]
    assert [task for task, _ in scenes["put"]][:2] == ["put_red_on_plate", "put_green_on_plate"]


def test_the_command_runs_what_is_missing_and_writes_everything(tmp_path):
    page, result = tmp_path / "page.md", tmp_path / "result.json"
    page.write_text(PAGE)
    words = ["benchmark-sim", "--only", "dd_vla.one_shot", "--episodes", "2", "--time-limit", "0.6"]
    words += ["--conditions", "nominal", "light:0.4", "--record", str(tmp_path / "record")]
    assert main(words) == 0
    file = tmp_path / "record" / "dd_vla.one_shot.jsonl"
    lines = file.read_text().splitlines()
    assert len(lines) == 4
    file.write_text("\n".join(lines[:-1]) + "\n")  # as if it had been killed in the last episode
    files = ["--json", str(result), "--plot", str(tmp_path / "a.png"), "--fall-off-plot", str(tmp_path / "b.png")]
    assert main([*words, *files, "--write", str(page)]) == 0
    again = file.read_text().splitlines()
    assert again[:3] == lines[:3] and len(again) == 4
    assert json.loads(again[3])["seed"] == json.loads(lines[3])["seed"]
    cells = json.loads(result.read_text())["cells"]
    assert [(cell["condition"], cell["episodes"]) for cell in cells] == [("nominal", 2), ("light:0.4", 2)]
    assert "| nominal | dd_vla.one_shot |" in page.read_text() and "`dvla benchmark-sim" in page.read_text()
    assert (tmp_path / "a.png").stat().st_size > 1000 and (tmp_path / "b.png").stat().st_size > 1000


def test_weights_that_are_not_there_are_left_out_with_the_command_that_makes_them(tmp_path, capsys):
    words = ["--sets", "bins", "--checkpoints", str(tmp_path / "{system}"), "--record", str(tmp_path), "--no-run"]
    assert main(["benchmark-sim", *words]) == 2
    shown = capsys.readouterr()
    assert "dd_vla.bins_0032 is left out" in shown.out and "--coding size=32" in shown.out
    assert "Nothing is recorded" in shown.err


def test_a_checkpoint_of_the_user_is_compared_by_its_name(tmp_path):
    folder = "checkpoints/widowx_llada_vla_small"
    options = BenchmarkSim(only="dd_vla,mine", checkpoint=(f"mine={folder}",), record=tmp_path)
    assert [cell.variant.name for cell in options.comparison().cells] == ["dd_vla", "mine"]
    assert str(options.comparison().cells[1].record.checkpoint) == folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sets": ("speed",)}, "no set 'speed'"),
        ({"checkpoint": ("mine",)}, "name=FOLDER"),
        ({"checkpoint": ("mine=/nowhere",)}, "/nowhere"),
        ({"checkpoint": ("dd_vla=checkpoints/widowx_dd_vla_small",)}, "called 'dd_vla' already"),
        ({"sets": ()}, "nothing to compare"),
        ({"episodes": 0}, "episodes must be 1 or more"),
        ({"seed": 999_999}, "the seeds lie in"),
        ({"conditions": ("fog",)}, "no condition 'fog'"),
    ],
)
def test_what_cannot_be_compared_is_one_clear_error(changes, message, tmp_path):
    with pytest.raises(ConfigurationError, match=message):
        BenchmarkSim(**{"record": tmp_path, **changes}).comparison()


def test_a_fall_off_needs_something_to_fall_off_with(tmp_path, options):
    figures = figures_of(recorded(replace(options, conditions=("nominal",)), OUTCOMES).cells)
    with pytest.raises(ConfigurationError, match="needs conditions beside the nominal one"):
        plot_fall_off(figures, tmp_path / "plot.png")
