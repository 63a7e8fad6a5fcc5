"""The real simulator, where `make libero` has put it: what a policy sees is what LIBERO shows."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml

from dvla_ros.cli import main
from dvla_ros.evaluation.libero.simulator import LiberoSimulator, python_of
from dvla_ros.policies.published.fresh_prismatic import write_fresh_prismatic

ROOT = Path(__file__).resolve().parents[3]
LIBERO = ROOT / ".libero"
PLAIN = ROOT / "test/support/plain_libero.py"
TASK, INITIAL_STATE, SEED, SETTLE_STEPS, SIZE = 1, 2, 5, 10, 96

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not (LIBERO / "bin/python").is_file(), reason="LIBERO is not installed; type: make libero"),
]


def plain(rows, folder):
    """What LIBERO shows to who uses it as its documentation says."""
    np.save(folder / "rows.npy", rows)
    environment = {"MUJOCO_GL": "egl", "LIBERO_CONFIG_PATH": str(folder), "OMP_NUM_THREADS": "1", "HOME": str(folder)}
    words = [python_of(LIBERO), PLAIN, folder / "rows.npy", folder / "seen.npz"]
    subprocess.run(words, env={"PATH": os.environ["PATH"], **environment}, check=True, capture_output=True)
    return np.load(folder / "seen.npz")


def test_the_worker_shows_what_libero_shows(tmp_path):
    rows = np.random.default_rng(0).uniform(-1, 1, (11, 7))
    expected = plain(rows, tmp_path)
    with LiberoSimulator.of(LIBERO, tmp_path / "simulator.log") as simulator:
        facts = simulator.open("libero_object", SIZE)
        simulator.restart(TASK, INITIAL_STATE, SEED, SETTLE_STEPS)
        assert simulator.execute(rows[:4]).steps == 4
        first = simulator.look()
        assert simulator.execute(rows[4:]).done is False
        seen = simulator.look()
    assert facts.sentences[TASK] == str(expected["sentence"]) and set(facts.initial_states) == {50}
    np.testing.assert_array_equal(seen.agentview, expected["agentview_image"])
    np.testing.assert_array_equal(seen.wrist, expected["robot0_eye_in_hand_image"])
    np.testing.assert_array_equal(seen.position, expected["robot0_eef_pos"])
    np.testing.assert_array_equal(seen.quaternion, expected["robot0_eef_quat"])
    np.testing.assert_array_equal(seen.fingers, expected["robot0_gripper_qpos"])
    assert not np.array_equal(first.agentview, seen.agentview) and first.agentview.std() > 10
    assert "Traceback" not in (tmp_path / "simulator.log").read_text()


def test_a_published_checkpoint_with_the_state_and_units_of_libero_runs(tmp_path):
    folder, deployment, result = tmp_path / "fresh", tmp_path / "libero.yaml", tmp_path / "result.json"
    write_fresh_prismatic(folder, size="small", unnorm_key="libero_spatial_no_noops", adapter="none")
    settings = {"unnorm_key": "libero_spatial", "units": "libero", "state": "libero", "dt": 0.05}
    deployment.write_text(yaml.safe_dump(settings))
    words = [str(folder), "--deployment", str(deployment), "--tasks", "0", "--episodes", "1", "--max-steps", "10"]
    files = ["--environment", str(LIBERO), "--record", str(tmp_path / "record"), "--json", str(result)]
    assert main(["benchmark-libero", *words, *files]) == 0
    (task, whole) = json.loads(result.read_text())["figures"]
    assert (task["episodes"], task["chunks"], task["malformed"], whole["successes"]) == (1, 2, 0, 0)
    assert task["sentence"].startswith("pick up the black bowl between the plate and the ramekin")
