"""Jobs reach processes that know how to run episodes, and a runner keeps what the next job needs again."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.evaluation.episode_workers import EpisodeJob, episode_runner, run_jobs
from dvla_ros.evaluation.simulated import SimulateConfig
from dvla_ros.nodes.node_table import shipped_checkpoint
from dvla_ros.simulation.appearance import Appearance

PLAN = SimulateConfig(time_limit=0.5)
JOB = EpisodeJob(shipped_checkpoint("dd_vla"), {"decoder": "one_shot"}, "cpu", PLAN, "pick_red", 40)


def test_every_job_is_run_by_its_own_rules_whatever_was_run_before():
    other = replace(JOB, task="push_blue_left", plan=replace(PLAN, phrasing=1, time_limit=0.3))
    episodes = [replace(episode, decode_ms=()) for _, episode in run_jobs([JOB, other, JOB], 1)]
    assert [(e.task, e.seed, e.outcome) for e in episodes] == [
        ("pick_red", 40, "timeout"),
        ("push_blue_left", 40, "timeout"),
        ("pick_red", 40, "timeout"),
    ]
    assert episodes[0] == episodes[2] and episodes[1].seconds < 0.45 < episodes[0].seconds


def test_a_job_and_what_runs_it_reach_another_process_whole():
    job = replace(JOB, plan=replace(PLAN, appearance=Appearance(noise=20.0)))
    sent, run = pickle.loads(pickle.dumps((job, episode_runner)))
    assert sent == job and run is episode_runner
    with pytest.raises(CheckpointError, match="nowhere"):
        run()(replace(sent, checkpoint=Path("nowhere")))


def test_no_worker_is_refused():
    with pytest.raises(ConfigurationError, match="workers must be 1 or more"):
        list(run_jobs([JOB], 0))
