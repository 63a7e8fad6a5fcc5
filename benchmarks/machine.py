"""The machine on which a benchmark runs, in one line."""

import os
import platform
from pathlib import Path


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
