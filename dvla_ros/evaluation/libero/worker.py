"""The process beside the policy that holds LIBERO's simulator: `.libero/bin/python …/worker.py`.

It answers the messages that come through its standard input, and ends with it. It is run by its path, in an environment
that knows nothing of this package: of `dvla_ros` it imports what needs no more than NumPy.
"""

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

if __name__ == "__main__":
    # This folder's files must not hide modules of the same name; what is installed here comes before what lies beside
    # dvla_ros, which may be another environment.
    sys.path[0:1] = []
    sys.path.append(str(Path(__file__).resolve().parents[3]))

from dvla_ros.evaluation.libero.wire import Message, read_message, write_message

Answer = Callable[[Message], Message]


def serve(answer: Answer, source: BinaryIO, sink: BinaryIO) -> None:
    """Answer until the other end is gone; what fails is answered by `error` with the text of it."""
    with suppress(BrokenPipeError):
        while (question := read_message(source)) is not None:
            try:
                found = answer(question)
            except Exception as error:  # whatever it is, the other process says it in one line; the log has all of it
                traceback.print_exc()
                found = Message("error", {"text": " ".join(f"{type(error).__name__}: {error}".split())})
            write_message(sink, found)


def own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output for messages alone: what anything else prints goes to standard error."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return sys.stdin.buffer, sink


def choose_renderer() -> None:
    """EGL, or Mesa in memory where there is no EGL; must run before MuJoCo is imported."""
    if os.environ.get("MUJOCO_GL", "egl") == "egl":
        try:
            ctypes.CDLL("libEGL.so.1")
        except OSError:
            os.environ["MUJOCO_GL"] = "osmesa"


def main() -> None:
    """Serve a simulator."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks decides
    pipes = own_pipes()
    choose_renderer()
    from dvla_ros.evaluation.libero.scene import LiberoScene

    scene = LiberoScene()
    try:
        serve(scene.answer, *pipes)
    finally:
        scene.close()


if __name__ == "__main__":
    main()
