"""How tests are divided among processes: who waits for nodes, who computes, and what happens when one dies."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")

DIES_ONCE = """
import os, pathlib, signal
def test_before(): pass
def test_that_dies():
    mark = pathlib.Path(__file__).with_name("died")
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
"""


TELLS = """
import json, os, pathlib, time
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_one(number):
    began = time.time()
    time.sleep({seconds})
    told = {{"worker": os.environ["PYTEST_XDIST_WORKER"], "began": began, "ended": time.time()}}
    pathlib.Path(__file__).with_name(f"{name}_{{number}}.json").write_text(json.dumps(told))
"""


@pytest.fixture
def run(tmp_path):
    """A function that runs the tests written below `tmp_path / "test"` in two processes, divided as ours are."""
    (tmp_path / "test").mkdir()
    shutil.copy(CONFTEST, tmp_path / "test" / "conftest.py")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadscope", "--no-loadscope-reorder", "test"]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}

    def done():
        return subprocess.run(
            command, cwd=tmp_path, env=plain, capture_output=True, text=True, timeout=100, check=False
        )

    return done


def test_what_a_dead_process_left_is_done_by_another_one(run, tmp_path):
    nodes = tmp_path / "test" / "nodes"
    nodes.mkdir()
    (nodes / "test_dies.py").write_text(DIES_ONCE, encoding="utf-8")
    for name in "abcd":
        (nodes / f"test_{name}.py").write_text("def test_one(): pass\ndef test_two(): pass\n", encoding="utf-8")
    done = run()
    assert "10 passed, 1 rerun in" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize("seconds_of_others", [0.02, 0.2])
def test_one_process_waits_for_nodes_while_the_other_computes_and_the_machine_is_free_at_the_end(
    run, tmp_path, seconds_of_others
):
    for folder, count, seconds in (("nodes", 4, 0.3), ("actions", 20, seconds_of_others), ("launch", 2, 0.1)):
        (tmp_path / "test" / folder).mkdir()
        for name in "ab":
            text = TELLS.format(name=name, count=count, seconds=seconds)
            (tmp_path / "test" / folder / f"test_{name}.py").write_text(text, encoding="utf-8")
    done = run()
    assert done.returncode == 0, done.stdout
    nodes, others, alone = (
        [json.loads(path.read_text()) for path in (tmp_path / "test" / folder).glob("*.json")]
        for folder in ("nodes", "actions", "launch")
    )
    assert (len(nodes), len(others), len(alone)) == (8, 40, 4)
    assert len({each["worker"] for each in nodes}) == len({each["worker"] for each in alone}) == 1
    began = min(each["began"] for each in nodes)
    assert any(began < each["began"] < began + 0.6 and each["worker"] != nodes[0]["worker"] for each in others)
    # A process keeps one test until there are no more pieces: it runs beside the very last.
    beside = [e for e in (*nodes, *others) if e["ended"] > min(each["began"] for each in alone)]
    assert len(beside) <= 1 and all(e["began"] > sorted(a["ended"] for a in alone)[-2] for e in beside)
