"""The few messages of other projects that the tests exchange: built once with colcon, found by this process.

`interbotix_xs_msgs`, `control_msgs` and `moveit_msgs` come with apt packages only. `test/ros_messages` defines the
part of them that is used here, field by field as they are published.
"""

import ctypes
import fcntl
import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = REPOSITORY / "test" / "ros_messages"
WORKSPACE = REPOSITORY / ".ros" / "test_messages"
INSTALL = WORKSPACE / "install"
STAMP = WORKSPACE / "stamp"


def use_test_messages() -> None:
    """Let this process import the messages; builds them (a minute on two cores) when their definitions changed.

    The libraries are loaded here by their full names: the dynamic loader reads LD_LIBRARY_PATH at start only, and it
    takes a library that is loaded already when the type support asks for it by name.
    """
    build_test_messages()
    path = str(_python_folder())
    if path not in sys.path:
        sys.path.insert(0, path)
        importlib.invalidate_caches()
        for library in sorted((INSTALL / "lib").glob("*.so")):
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


def test_messages_environment() -> dict[str, str]:
    """The environment of a child process that shall import the messages."""
    build_test_messages()
    return {
        **os.environ,
        "PYTHONPATH": _in_front("PYTHONPATH", _python_folder()),
        "LD_LIBRARY_PATH": _in_front("LD_LIBRARY_PATH", INSTALL / "lib"),
        "AMENT_PREFIX_PATH": _in_front("AMENT_PREFIX_PATH", INSTALL),
    }


def build_test_messages() -> None:
    """Build the messages unless that was done for these definitions and this Python."""
    wanted = _digest()
    with _locked():
        if not STAMP.exists() or STAMP.read_text(encoding="utf-8") != wanted:
            shutil.rmtree(WORKSPACE, ignore_errors=True)
            _run_colcon()
            STAMP.write_text(wanted, encoding="utf-8")


test_messages_environment.__test__ = False  # its name begins as a test's does


def _run_colcon() -> None:
    print("building the messages of other projects that the tests exchange (a minute) ...", file=sys.stderr, flush=True)
    packages = sorted(str(path.parent) for path in SOURCES.glob("*/package.xml"))
    command = [sys.executable, "-m", "colcon", "--log-base", str(WORKSPACE / "log"), "build", "--base-paths", *packages]
    command += ["--build-base", str(WORKSPACE / "build"), "--install-base", str(INSTALL), "--merge-install"]
    command += ["--cmake-args", "-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={sys.executable}"]
    done = subprocess.run(command, env=_build_environment(), text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"colcon could not build {SOURCES}:\n{(done.stdout + done.stderr)[-4000:]}")


def _build_environment() -> dict[str, str]:
    environment = {**os.environ, "VIRTUAL_ENV": sys.prefix, "PATH": f"{sys.prefix}/bin:{os.environ.get('PATH', '')}"}
    if Path(sys.prefix, "share", "rclpy").is_dir():  # ROS 2 as Python wheels: no setup file has set these
        environment |= {"AMENT_PREFIX_PATH": sys.prefix, "CMAKE_PREFIX_PATH": sys.prefix}
    return environment


def _digest() -> str:
    digest = hashlib.sha256(f"{sys.version} {sys.prefix} {os.environ.get('ROS_DISTRO')} {REPOSITORY}".encode())
    for path in sorted(path for path in SOURCES.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(SOURCES)).encode() + path.read_bytes())
    return digest.hexdigest()


@contextmanager
def _locked() -> Iterator[None]:
    WORKSPACE.parent.mkdir(exist_ok=True)
    with (WORKSPACE.parent / "test_messages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _python_folder() -> Path:
    found = next(INSTALL.glob("**/moveit_msgs/msg/__init__.py"), None)
    return found.parents[2] if found else Path(sysconfig.get_path("purelib"))


def _in_front(variable: str, entry: Path) -> str:
    return os.pathsep.join([str(entry), *filter(None, [os.environ.get(variable)])])
