"""Launch files are tested where launch_ros is installed (any apt installation of ROS 2 has it).

Elsewhere the same node table is tested through `dvla bringup` (test/nodes/test_bringup.py).
"""

import importlib.util
import os

import pytest

collect_ignore = (
    []
    if importlib.util.find_spec("launch_ros")
    else [
        "test_widowx_launch.py",
        "test_servo_launch.py",
        "test_bag_eval_launch.py",
    ]
)


@pytest.fixture
def environment():
    """The session isolates its ROS domain through environment variables."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
