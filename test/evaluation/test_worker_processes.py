"""Every question is answered once, in processes that end with what asks; what goes wrong there is said here."""

import os
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from answering_process import prepared

from dvla_ros.errors import CheckpointError, SimulationError
from dvla_ros.evaluation.worker_processes import answers


def test_every_question_is_answered_once_by_processes_that_are_not_this_one():
    found = list(answers(range(12), prepared, 2))
    assert sorted((number, answer) for number, (_, answer) in found) == [(n, 2 * n) for n in range(12)]
    processes = {process for _, (process, _) in found}
    assert os.getpid() not in processes and not any(map(alive, processes))


@pytest.mark.parametrize(
    ("number", "error", "message"),
    [
        (13, CheckpointError, "There is no 13"),
        (14, SimulationError, "(?s)14 failed.*ZeroDivisionError: by fourteen"),
        (15, SimulationError, "exit code 3 at number 2, 15.*fewer workers"),
    ],
)
def test_an_error_is_raised_here_after_the_answers_before_it(number, error, message):
    asked = answers([1, 2, number], prepared, 1)
    assert [next(asked)[1][1], next(asked)[1][1]] == [2, 4]
    with pytest.raises(error, match=message):
        next(asked)


def test_workers_end_when_the_process_that_asks_is_killed():
    """As by `kill -9`, which lets nobody say good-bye."""
    program = (
        "import sys; from answering_process import prepared; from dvla_ros.evaluation.worker_processes import answers\n"
        "for _, (process, _) in answers(range(9), prepared, 1): print(process, flush=True); sys.stdin.read()"
    )
    paths = [str(Path(__file__).parents[1] / "support"), str(Path(__file__).parents[2])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    asking = subprocess.Popen([sys.executable, "-c", program], text=True, env=environment, **pipes)
    worker = os.pidfd_open(int(asking.stdout.readline()))
    asking.kill()
    asking.communicate()
    ended, _, _ = select.select([worker], [], [], 30.0)
    os.close(worker)
    assert ended, "the worker goes on although nobody asks"


def alive(process):
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False
