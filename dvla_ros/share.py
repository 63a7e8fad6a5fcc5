"""Finds the files that belong to the package: in the source tree, or where it was installed."""

import os
import sys
from pathlib import Path

from dvla_ros.errors import ConfigurationError


def share_path(relative: str) -> Path:
    """Absolute path of a file or folder such as `config/widowx.yaml`.

    Looked for beside the Python package (a source tree), then in `share/dvla_ros` of every ROS prefix and of the
    Python environment.

    Raises:
        ConfigurationError: It is in none of them.
    """
    roots = _roots()
    for root in roots:
        if (root / relative).exists():
            return root / relative
    looked = ", ".join(str(root) for root in roots)
    raise ConfigurationError(f"{relative} of dvla_ros is not installed; looked in {looked}. Build the package again.")


def _roots() -> list[Path]:
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    package = Path(__file__).resolve().parent
    beside = [parent / "share" / "dvla_ros" for parent in package.parents[:4]]
    shares = [prefix / "share" / "dvla_ros" for prefix in (*prefixes, Path(sys.prefix))]
    return [package.parent, *beside, *shares]
