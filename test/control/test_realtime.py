"""Real-time priority and locked memory, asked of the real kernel by a process with and without permission."""

import json
import logging
import os
import subprocess
import sys
import textwrap

import pytest

from dvla_ros.control import realtime
from dvla_ros.control.realtime import LIMITS_FILE, request_realtime

MIB = 1 << 20

# Imports come first: afterwards the process may not be allowed to read the interpreter's folder.
PRELUDE = """
import json, logging, os, re, resource, sys
from dvla_ros.control import realtime
from dvla_ros.control.realtime import lock_memory, request_realtime
log = []
class Keep(logging.Handler):
    def emit(self, record):
        log.append((record.levelname, record.getMessage()))
logging.getLogger("dvla_ros").addHandler(Keep())
logging.getLogger("dvla_ros").setLevel(logging.INFO)
def locked():
    return int(re.search(r"VmLck:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
def drop(memlock):
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
    resource.setrlimit(resource.RLIMIT_MEMLOCK, memlock)
    if os.getuid() == 0:
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
"""


def in_process(body: str) -> dict:
    """What a fresh process finds; it says so with `answer(name=value)`."""
    program = PRELUDE + "def answer(**found): print(json.dumps(found | {'log': log}))\n" + textwrap.dedent(body)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture
def _not_advised() -> None:
    realtime._advised.clear()


def test_refusal_warns_once_with_the_limits_file_and_goes_on() -> None:
    found = in_process(f"""
        drop(({64 * 1024}, {64 * 1024}))
        answer(granted=[request_realtime(10), request_realtime(9)], memory=lock_memory())
    """)
    assert found["granted"] == [False, False]
    assert found["memory"] is False
    (warning,) = (text for level, text in found["log"] if level == "WARNING")
    assert LIMITS_FILE in warning
    assert "\n  @realtime - rtprio 99\n  @realtime - memlock unlimited\n" in warning
    assert "groupadd" in warning
    assert [level for level, _ in found["log"]] == ["WARNING", "INFO", "INFO"]
    assert "Memory is not locked (Cannot allocate memory)" in found["log"][2][1]


def test_memory_of_now_and_later_is_locked_where_there_is_no_limit() -> None:
    found = in_process(f"""
        granted, before = lock_memory(), locked()
        later = bytearray(b"1") * {8 * MIB}
        answer(granted=granted, before=before, grown=locked() - before)
    """)
    if found["granted"]:
        assert found["before"] > 4 * MIB
        assert found["grown"] >= 8 * MIB
        assert found["log"] == [["INFO", "Memory is locked."]]
    else:
        assert found["before"] == 0
        assert found["log"][0][0] == "WARNING"


def test_under_a_limit_later_memory_is_not_locked_so_that_it_can_be_had() -> None:
    # As if the limit sufficed for now: the kernel does not tell that this process may exceed it.
    found = in_process(f"""
        realtime._virtual_size = lambda: 0
        realtime._raise_limit = lambda: {MIB}
        granted, before = lock_memory(), locked()
        later = bytearray(b"1") * {64 * MIB}
        answer(granted=granted, before=before, grown=locked() - before, text=later[-1:].decode())
    """)
    assert found["grown"] <= MIB
    assert found["granted"] == (found["before"] > 0)
    assert found["text"] == "1"
    expected = "Memory is locked, but not what is taken from now on." if found["granted"] else "Memory is not locked"
    assert found["log"][0][1].startswith(expected)


def test_priority_zero_asks_for_nothing() -> None:
    assert request_realtime(0) is False
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.mark.usefixtures("_not_advised")
def test_refusal_names_the_thread_and_the_reason(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(pid: int, policy: int, parameter: os.sched_param) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with caplog.at_level(logging.INFO):
        assert request_realtime(10) is False
    (record,) = caplog.records
    assert "'MainThread' (Operation not permitted)" in record.getMessage()
