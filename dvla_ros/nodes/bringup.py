"""`dvla bringup ROBOT key:=value …`: starts a robot's nodes as processes, for machines without ros2 launch."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Sequence
from types import FrameType

from dvla_ros.errors import DvlaError
from dvla_ros.nodes.launch_arguments import WIDOWX_ARGUMENTS, parse_arguments
from dvla_ros.nodes.node_table import LaunchPlan, NodeEntry, Value, widowx_plan

ROSBAG2 = "ros2 bag"
_POLL_S = 0.1
# A node that is still importing does not hear the first signal.
_REPEAT_S = 0.5
_GRACE = ((signal.SIGINT, 10.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 2.0))


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the nodes of `arguments[0]` with `name:=value` arguments; until Ctrl-C or until a node ends.

    Returns:
        0 after Ctrl-C when every node ended cleanly, 2 for a wrong argument, else the first failing exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help") or words[0] != "widowx":
        print(_usage(), file=sys.stdout if words[:1] in (["-h"], ["--help"]) else sys.stderr)
        return 0 if words[:1] in (["-h"], ["--help"]) else 2
    try:
        plan = widowx_plan(parse_arguments(words[1:]))
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return Bringup(process_commands(plan), optional_processes(plan)).run()


def process_commands(plan: LaunchPlan) -> dict[str, list[str]]:
    """Command line of each process by name."""
    commands = {entry.name: _node_command(entry) for entry in plan.nodes}
    if plan.rosbag2:
        commands[ROSBAG2] = list(plan.rosbag2)
    return commands


def optional_processes(plan: LaunchPlan) -> frozenset[str]:
    """Names of the processes without which the others go on."""
    return frozenset([ROSBAG2, *(entry.name for entry in plan.nodes if not entry.required)])


def _node_command(entry: NodeEntry) -> list[str]:
    command = [sys.executable, "-u", "-m", entry.module, "--ros-args", "--params-file", str(entry.params_file)]
    for name, value in entry.parameters.items():
        command += ["-p", f"{name}:={_literal(value)}"]
    return command


def _literal(value: Value) -> str:
    """A value as the YAML that ROS parses: texts quoted, numbers with their type."""
    return json.dumps(value, ensure_ascii=False)


def _usage() -> str:
    lines = [f"  {a.name:<12} {a.description} (default: {a.default or 'empty'})" for a in WIDOWX_ARGUMENTS]
    return "\n".join(["usage: dvla bringup widowx [name:=value ...]", *lines])


class Bringup:
    """A group of processes that live and end together.

    Args:
        commands: Command line by name; the name is printed before each line of output.
        optional: Names of those that may end before the others.
    """

    def __init__(self, commands: dict[str, list[str]], optional: Collection[str] = ()) -> None:
        self._commands, self._optional = commands, set(optional)
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._readers: list[threading.Thread] = []
        self._interrupted = threading.Event()

    def run(self) -> int:
        """Start all, wait for Ctrl-C or for one to end, stop all; the exit code."""
        handlers = {number: signal.signal(number, self._interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for name, command in self._commands.items():
                self._start(name, command)
            ended = self._wait()
            self._stop()
            return self._exit_code(ended)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    @property
    def codes(self) -> dict[str, int | None]:
        """Exit code of each process by name; None while it runs."""
        return {name: process.poll() for name, process in self._processes.items()}

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._interrupted.set()

    def _start(self, name: str, command: list[str]) -> None:
        # A session of its own: Ctrl-C in the terminal reaches us only, and we pass it on. A node inherits that SIGINT
        # is ignored until it has a handler of its own, so that it is not torn apart while it imports.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        signal.signal(signal.SIGINT, handler)
        self._processes[name] = process
        reader = threading.Thread(target=self._print_lines, args=(name, process), daemon=True)
        reader.start()
        self._readers.append(reader)

    def _print_lines(self, name: str, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                print(f"[{name}] {line.rstrip()}", flush=True)

    def _wait(self) -> str | None:
        """Name of the process that ended first and is needed; None after Ctrl-C."""
        while not self._interrupted.wait(_POLL_S):
            for name in [name for name, process in self._processes.items() if process.poll() is not None]:
                if name not in self._optional:
                    return name
                self._do_without(name)
        return None

    def _do_without(self, name: str) -> None:
        process = self._processes.pop(name)
        print(f"{name} ended with exit code {process.returncode}; the others go on without it.", file=sys.stderr)

    def _stop(self) -> None:
        for number, patience in _GRACE:
            deadline = time.monotonic() + patience
            while self._running() and time.monotonic() < deadline:
                for process in self._running():
                    os.killpg(process.pid, number)
                self._wait_all(min(deadline, time.monotonic() + _REPEAT_S))
        for reader in self._readers:
            reader.join(timeout=1.0)

    def _running(self) -> "list[subprocess.Popen[str]]":
        return [process for process in self._processes.values() if process.poll() is None]

    def _wait_all(self, deadline: float) -> None:
        while self._running() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _exit_code(self, ended: str | None) -> int:
        codes = self.codes
        if ended is not None:
            print(f"{ended} ended with exit code {codes[ended]}; everything was stopped.", file=sys.stderr)
            return max(codes[ended] or 0, 1)
        failed = {name: code for name, code in codes.items() if code != 0}
        for name, code in failed.items():
            print(f"{name} did not stop cleanly (exit code {code}).", file=sys.stderr)
        return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
