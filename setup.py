"""Installs the Python side with pip, where no colcon is at hand (the messages still need `make build`)."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
SHARE = "share/dvla_ros"


def share_files(folder: str) -> list[tuple[str, list[str]]]:
    """List the files below `folder` by the directory of the environment they are installed into."""
    files: dict[str, list[str]] = {}
    for path in sorted((ROOT / folder).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            relative = path.relative_to(ROOT)
            files.setdefault(f"{SHARE}/{relative.parent}", []).append(str(relative))
    return list(files.items())


setup(
    packages=find_packages(include=["dvla_ros", "dvla_ros.*"]),
    package_data={"dvla_ros": ["**/*.xml", "**/*.yaml", "**/*.json", "py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/dvla_ros"]),
        (SHARE, ["package.xml"]),
        *(entry for folder in ("launch", "config", "msg", "resource", "checkpoints") for entry in share_files(folder)),
    ],
)
