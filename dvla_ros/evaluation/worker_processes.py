"""Questions that are answered in several processes at once; knows nothing of what they are."""

import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from dvla_ros.errors import DvlaError, SimulationError

_LEAVE_S = 5.0
"""A worker that is told to leave has so long, then it is ended."""

Question = TypeVar("Question")
Answer = TypeVar("Answer")


def answers(
    questions: Sequence[Question], prepare: Callable[[], Callable[[Question], Answer]], workers: int
) -> Iterator[tuple[int, Answer]]:
    """The number of each question and its answer, as they come.

    A worker is handed its next question when it has answered: when anything ends, only what is in the air is lost.

    Args:
        questions: In the order in which they are handed out; they and the answers can be pickled.
        prepare: Called once in each worker, makes what answers; a function of a module.
        workers: Processes.

    Raises:
        DvlaError: What answering raised, or that a worker ended.
    """
    waiting = deque(enumerate(questions))
    processes: dict[Connection, BaseProcess] = {}
    busy: dict[Connection, int] = {}
    try:
        for _ in range(min(workers, len(questions))):
            line, process = _started(prepare)
            processes[line] = process
            busy[line] = _hand_out(line, waiting)
        while busy:
            for line in [line for line in wait(list(busy)) if isinstance(line, Connection)]:
                number = busy.pop(line)
                answer = _answer(line, processes[line], number, questions[number])
                if waiting:
                    busy[line] = _hand_out(line, waiting)
                yield number, answer
    finally:
        _dismiss(processes, _LEAVE_S if not busy else 0.0)


def _started(prepare: Callable[[], Any]) -> tuple[Connection, BaseProcess]:
    """A worker, and the line to it; when either end is gone, the other one notices."""
    context = get_context("spawn")  # a fork would inherit OpenGL and threads that do not work in it
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(there, prepare), daemon=True)
    process.start()
    there.close()
    return here, process


def _hand_out(line: Connection, waiting: "deque[tuple[int, Any]]") -> int:
    number, question = waiting.popleft()
    with suppress(BrokenPipeError):  # a worker that is gone is noticed when it does not answer
        line.send(question)
    return number


def _answer(line: Connection, process: BaseProcess, number: int, question: object) -> Any:
    try:
        answer = line.recv()
    except (EOFError, ConnectionResetError) as error:
        process.join()
        raise SimulationError(
            f"A worker ended with exit code {process.exitcode} at number {number}, {question}. What was done before is "
            "kept; if memory ran out (-9), go on with fewer workers."
        ) from error
    if isinstance(answer, DvlaError):
        raise answer
    return answer


def _dismiss(processes: dict[Connection, BaseProcess], patience_s: float) -> None:
    for line in processes:
        line.close()
    for process in processes.values():
        process.join(patience_s)
        if process.is_alive():
            process.terminate()
            process.join()


def _work(line: Connection, prepare: Callable[[], Callable[[Any], Any]]) -> None:
    """Answer until the other end of the line is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that hands out decides
    answer_to = prepare()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            question = line.recv()
            try:
                answer = answer_to(question)
            except DvlaError as error:
                answer = error
            except Exception:  # whatever it is, the other process says it
                answer = SimulationError(f"{question} failed:\n{traceback.format_exc()}")
            line.send(answer)
