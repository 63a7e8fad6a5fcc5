"""`dvla benchmark`: what it writes, and what it says where it cannot run."""

import json
from pathlib import Path

import pytest
import torch

from dvla_ros.cli import main
from dvla_ros.evaluation.decode.row import HEADINGS

CHECKPOINTS = str(Path(__file__).parents[1] / "checkpoints" / "widowx_{system}_small")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with one shipped and one published policy; its figures and the page it wrote."""
    folder = tmp_path_factory.mktemp("decode")
    page = folder / "page.md"
    page.write_text("before\n<!-- decode cpu: begin -->\n<!-- decode cpu: end -->\n")
    words = ["--systems", "llada_vla", "--attention", "released", "--cache", "exact", "prefix", "--repeats", "2"]
    words += ["--no-checks", "--checkpoints", CHECKPOINTS, "--json", str(folder / "out.json"), "--write", str(page)]
    assert main(["benchmark", *words, "--plot", str(folder / "rows.png")]) == 0
    return json.loads((folder / "out.json").read_text()), page.read_text(), folder


def test_rows_have_the_agreed_names_and_plausible_figures(run):
    rows = run[0]["rows"]
    assert all(tuple(row) == HEADINGS for row in rows)
    for row in rows:
        assert row["chunk_ms_p95"] >= row["chunk_ms_p50"] > row["step_ms_p50"] > 0
        assert row["floor_ratio"] == pytest.approx(row["chunk_ms_p50"] / row["floor_ms"])
        assert row["nfe"] == 10 and row["peak_memory_gb"] > 0.05


def test_every_way_of_every_policy_has_a_row(run):
    assert [(row["size"], row["cache"]) for row in run[0]["rows"]] == [
        ("small", "full published way"),
        ("small", "full exact"),
        ("small", "full prefix"),
        ("shipped", "block_causal published way"),
        ("shipped", "block_causal exact"),
    ]


def test_the_baseline_is_as_fast_as_itself_and_exact_ways_have_its_tokens(run):
    baseline = [row["baseline_ratio"] for row in run[0]["rows"] if "published" in row["cache"]]
    assert baseline == [pytest.approx(1.0)] * 2
    exact = [part["same_tokens"] for part in run[0]["parts"] if "exact" in part["cache"]]
    assert exact == [1.0, 1.0]


def test_the_page_and_the_picture_are_written(run):
    _, page, folder = run
    assert page.startswith("before\n") and "| llada_vla | small | cpu |" in page and "dvla benchmark" in page
    assert (folder / "rows.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "true"], "NVIDIA GPU"),
        (["--systems", "rt_1"], "choose of dd_vla"),
        (["--repeats", "0"], "1 or more"),
        (["--cache", "lru", "--size", "small"], "cache must be one of"),
    ],
)
def test_what_cannot_be_measured_is_one_clear_line(words, message, capsys):
    assert main(["benchmark", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1


def test_a_gpu_that_is_not_there_is_named(capsys):
    assert main(["benchmark", "--device", "cuda:99", "--size", "true"]) == 2
    assert "cuda:99" in capsys.readouterr().err


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_small_layout_is_measured_on_a_gpu(tmp_path):
    out = tmp_path / "out.json"
    words = ["--device", "cuda", "--systems", "dd_vla", "--size", "small", "--repeats", "2", "--no-checks"]
    assert main(["benchmark", *words, "--json", str(out)]) == 0
    assert all(row["peak_memory_gb"] > 0 for row in json.loads(out.read_text())["rows"])
