"""Where figures come from is said in words that can be looked up."""

import re
from pathlib import Path

from dvla_ros.provenance import git_revision, machine_line, machine_name


def test_the_machine_is_named_with_its_cores():
    assert re.search(r"\d+ cores", machine_name())
    assert "load" in machine_line() and "load" not in machine_name()


def test_the_revision_is_that_of_the_source_tree():
    has_git = (Path(__file__).parents[1] / ".git").exists()
    assert bool(re.fullmatch(r"[0-9a-f]{12}\+?", git_revision())) == has_git
