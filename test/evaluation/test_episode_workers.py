"""Episodes in another process are those of this one."""

from dataclasses import replace

import pytest

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.episode_workers import EpisodeJob, episode_runner, run_jobs
from dvla_ros.evaluation.simulated import SimulateConfig
from dvla_ros.evaluation.worker_processes import answers
from dvla_ros.nodes.node_table import shipped_checkpoint

PLAN = SimulateConfig(time_limit=0.5)
JOB = EpisodeJob(shipped_checkpoint("dd_vla"), {"decoder": "one_shot"}, "cpu", PLAN, "pick_red", 40)


def test_another_process_answers_as_this_one_does():
    jobs = [JOB, replace(JOB, task="push_blue_left", seed=41, plan=replace(PLAN, phrasing=1))]
    here = [replace(episode, decode_ms=()) for _, episode in run_jobs(jobs, 1)]
    assert [replace(episode, decode_ms=()) for _, episode in answers(jobs, episode_runner, 1)] == here
    assert [(episode.task, episode.seed, episode.outcome) for episode in here] == [
        ("pick_red", 40, "timeout"),
        ("push_blue_left", 41, "timeout"),
    ]


def test_no_worker_is_refused():
    with pytest.raises(ConfigurationError, match="workers must be 1 or more"):
        list(run_jobs([JOB], 0))
