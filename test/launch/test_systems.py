"""Each shipped policy picks up a cube through the ROS nodes: `system:=NAME` is all that changes.

The arm rests while a policy thinks (`replanning:=sync`), so that the verdict is on the policy and not on how fast this
machine is; how they do while the arm goes on is measured in docs/benchmarks.md.
"""

import pytest

from dvla_ros.nodes.episode_runner import EpisodeRequest, EpisodeRunner
from dvla_ros.nodes.launch_arguments import SHIPPED_SYSTEMS
from dvla_ros.nodes.session import simulated_robot
from dvla_ros.policies.systems import SYSTEMS

READY_S = 100.0
SCENES = (3001, 3002)
"""One of these must succeed: the nodes run in real time, and a loaded machine may spoil an episode."""
TIME_LIMIT_S = 60.0
"""Several times what it takes where nothing else runs: a look may take seconds on a loaded machine."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_every_system_is_shipped():
    assert set(SHIPPED_SYSTEMS) == set(SYSTEMS)


@pytest.mark.parametrize("system", SHIPPED_SYSTEMS)
def test_the_shipped_policy_picks_up_a_cube(system, environment, tmp_path):
    with simulated_robot("test_systems", {"system": system, "replanning": "sync"}, tmp_path) as session:
        runner = EpisodeRunner(session.node, session.robot_name, session.cameras, session.nodes.check)
        runner.wait_until_ready(READY_S)
        for seed in SCENES:
            episode = runner.run(EpisodeRequest("pick_green", seed, "pick up the green cube", TIME_LIMIT_S))
            if episode.success:
                break
        assert episode.success, f"{system}: {episode.outcome} {episode.detail}"
        assert episode.chunks >= 2 and sum(episode.nfe) >= episode.chunks
    assert f"{system} ready" in (tmp_path / "policy_node.log").read_text()
