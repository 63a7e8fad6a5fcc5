"""Point the CMake files of the ROS 2 wheels at this machine's Python.

The wheels were built where Python lay in /opt/python/cp3XX-cp3XX, and about twenty of their exported CMake files name
its header directories. `rosidl_generate_interfaces()` fails on them until they name headers that exist.
"""

import re
import sys
import sysconfig
from pathlib import Path

import numpy as np

_BUILD_PYTHON = r"/opt/python/cp3\d+-cp3\d+"
_NUMPY_HEADERS = re.compile(_BUILD_PYTHON + r"/lib/python3\.\d+/site-packages/numpy/_?core/include")
_PYTHON_HEADERS = re.compile(_BUILD_PYTHON + r"/include/python3\.\d+")


def rewrite_file(path: Path, python_headers: str, numpy_headers: str) -> bool:
    """Replace the build machine's header directories in one CMake file; return whether there were any."""
    before = path.read_text(encoding="utf-8")
    after = _NUMPY_HEADERS.sub(lambda _: numpy_headers, before)
    after = _PYTHON_HEADERS.sub(lambda _: python_headers, after)
    if after == before:
        return False
    path.write_text(after, encoding="utf-8")
    return True


def rewrite_tree(share: Path, python_headers: str, numpy_headers: str) -> int:
    """Rewrite every CMake file below `share`; return how many were changed."""
    return sum(rewrite_file(path, python_headers, numpy_headers) for path in share.rglob("*.cmake"))


def main() -> None:
    """Rewrite the tree named on the command line for the running Python."""
    changed = rewrite_tree(Path(sys.argv[1]), sysconfig.get_path("include"), np.get_include())
    print(f"{changed} CMake files now name the headers of {sys.prefix}")


if __name__ == "__main__":
    main()
