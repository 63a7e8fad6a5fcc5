"""A process that dies while it tests costs a second run of one test, and holds nobody up."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

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


def test_what_a_dead_process_left_is_done_by_another_one(tmp_path):
    nodes = tmp_path / "test" / "nodes"
    nodes.mkdir(parents=True)
    shutil.copy(CONFTEST, tmp_path / "test" / "conftest.py")
    (nodes / "test_dies.py").write_text(DIES_ONCE, encoding="utf-8")
    for name in "abcd":
        (nodes / f"test_{name}.py").write_text("def test_one(): pass\ndef test_two(): pass\n", encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadscope", "--no-loadscope-reorder", "test"]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    run = subprocess.run(command, cwd=tmp_path, env=plain, capture_output=True, text=True, timeout=60, check=False)
    assert "10 passed, 1 rerun in" in run.stdout
    assert run.returncode == 0
