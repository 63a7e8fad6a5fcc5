"""Let a virtual environment find ROS 2 and the generated messages without sourcing anything.

The set-up copies this file into the environment's site-packages beside `dvla_ros_environment.pth`, which calls
`enter()` at every start of its Python. The dynamic loader reads LD_LIBRARY_PATH only when a process starts, so the
interpreter replaces itself once; child processes inherit the variables and start directly.
"""

import os
import sys

# Set by the ROS 2 wheels once they have restarted the interpreter with their own libraries on the path.
_WHEELS_GUARD = "_ROS_WHEELS_BOOTSTRAP_COMPLETE"


def enter(install_prefix: str) -> None:
    """Put the package at `install_prefix` (and ROS 2 wheels, if any) on the paths ROS 2 searches.

    Args:
        install_prefix: absolute path of the install space of the package, `.ros/install/dvla_ros`.
    """
    wheels = _wheels_prefix()
    prefixes = ([] if _runs_colcon() else [install_prefix]) + ([wheels] if wheels else [])
    _prepend("AMENT_PREFIX_PATH", prefixes)
    if _prepend("LD_LIBRARY_PATH", [f"{prefix}/lib" for prefix in prefixes]):
        _restart(wheels is not None)


def _runs_colcon() -> bool:
    """Say whether this process builds a workspace, which must not get our install space as its underlay."""
    return any(os.path.basename(word) == "colcon" for word in sys.orig_argv[:3])


def _wheels_prefix() -> str | None:
    """Return the environment's own prefix when it holds the ROS 2 wheels, else None (a sourced distribution)."""
    return sys.prefix if os.path.isdir(f"{sys.prefix}/share/rclpy") else None


def _prepend(variable: str, entries: list[str]) -> bool:
    """Put the missing `entries` in front of a path variable; return whether one was missing."""
    present = [entry for entry in os.environ.get(variable, "").split(os.pathsep) if entry]
    missing = [entry for entry in entries if entry not in present]
    os.environ[variable] = os.pathsep.join(missing + present)
    return bool(missing)


def _restart(with_wheels: bool) -> None:
    """Start the interpreter again with the new LD_LIBRARY_PATH; the wheels' own restart does it where they are."""
    if with_wheels:
        os.environ.pop(_WHEELS_GUARD, None)
    else:
        os.execv(sys.executable, sys.orig_argv)
