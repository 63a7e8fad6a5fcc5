"""Where figures and recordings come from: the machine, in one line, and the state of the source tree."""

import os
import platform
import subprocess
from pathlib import Path

_GIT_S = 10.0


def machine_line() -> str:
    """Processor, cores, load at the start, kernel and Python."""
    load, *_ = os.getloadavg()
    return f"{_processor()}, {os.cpu_count()} cores, load {load:.1f}, {_system()}"


def machine_name() -> str:
    """The same without the load, for figures that were not taken just now."""
    return f"{_processor()}, {os.cpu_count()} cores, {_system()}"


def _system() -> str:
    return f"{platform.system()} {platform.release()}, Python {platform.python_version()}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def git_revision() -> str:
    """Revision of the source tree, with "+" behind it when files differ from it; "" outside of a source tree."""
    tree = Path(__file__).resolve().parents[1]
    if not (tree / ".git").exists():
        return ""
    try:
        revision = _git(tree, "rev-parse", "--short=12", "HEAD")
        return f"{revision}+" if _git(tree, "status", "--porcelain", "--untracked-files=no") else revision
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(tree: Path, *words: str) -> str:
    run = subprocess.run(["git", "-C", str(tree), *words], capture_output=True, text=True, check=True, timeout=_GIT_S)
    return run.stdout.strip()
