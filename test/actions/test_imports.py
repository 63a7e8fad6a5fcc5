"""The folder runs on a robot computer that has neither a deep-learning framework nor ROS."""

import subprocess
import sys
from pathlib import Path

import dvla_ros.actions


def test_actions_run_without_torch_and_rclpy():
    folder = Path(dvla_ros.actions.__file__).parent
    names = [f"dvla_ros.actions.{path.stem}" for path in folder.glob("*.py") if path.stem != "__init__"]
    program = (
        f"import importlib, sys; [importlib.import_module(name) for name in {names!r}]; "
        "print(sorted({'torch', 'rclpy', 'transformers', 'scipy'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"
    assert "dvla_ros.actions.fast" in names
