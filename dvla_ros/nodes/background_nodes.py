"""The nodes of a launch plan as processes in the background."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from dvla_ros.errors import NodeError

_GRACE = ((signal.SIGINT, 20.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 2.0))
_TAIL_LINES = 12


class BackgroundNodes:
    """Processes that live as long as the context; what they print goes to one file each.

    Args:
        commands: Command line by node name, see `bringup.process_commands`.
        logs: Folder for `<name>.log`; made when missing.
    """

    def __init__(self, commands: Mapping[str, Sequence[str]], logs: Path) -> None:
        self._commands, self.logs = commands, logs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "BackgroundNodes":
        self.logs.mkdir(parents=True, exist_ok=True)
        for name, command in self._commands.items():
            with self._log(name).open("wb") as log:
                # A session of its own: Ctrl-C in the terminal reaches us only, and we stop the nodes in order.
                self._processes[name] = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
                )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        unclean = self.stop()
        if unclean and error is None:
            names = ", ".join(f"{name} (exit code {code})" for name, code in unclean.items())
            raise NodeError(f"These nodes did not stop cleanly: {names}. Their output is in {self.logs}.")

    def process_id(self, name: str) -> int | None:
        """Of a node by its name; None where it is not one of these."""
        process = self._processes.get(name)
        return None if process is None else process.pid

    def check(self) -> None:
        """Make sure that every node runs.

        Raises:
            NodeError: One has ended; the message has the last lines it printed.
        """
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise NodeError(
                    f"{name} ended with exit code {process.returncode}. Its last lines:\n{self._tail(name)}"
                )

    def stop(self) -> dict[str, int]:
        """Interrupt all nodes, and insist if need be; exit codes of those that did not end cleanly."""
        for number, patience in _GRACE:
            running = [process for process in self._processes.values() if process.poll() is None]
            for process in running:
                os.killpg(process.pid, number)
            _wait_all(running, patience)
        codes = {name: process.wait() for name, process in self._processes.items()}
        return {name: code for name, code in codes.items() if code != 0}

    def _log(self, name: str) -> Path:
        return self.logs / f"{name.replace(' ', '_')}.log"

    def _tail(self, name: str) -> str:
        return "\n".join(self._log(name).read_text(errors="replace").splitlines()[-_TAIL_LINES:])


def _wait_all(processes: "Sequence[subprocess.Popen[bytes]]", patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return
