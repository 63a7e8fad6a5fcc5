"""The expert's frames are those of its own way, and its labels what it then does."""

import numpy as np
import pytest

from dvla_ros.evaluation.expert_frames import ExpertFrames


@pytest.fixture(scope="module")
def driver():
    return ExpertFrames()


def test_frames_stand_so_many_actions_apart_on_the_way_that_the_labels_tell(driver):
    first, second = driver.episode("pick_red", 40, frames=2, spacing=3, horizon=6)
    assert (first.action, second.action) == (0, 3)
    assert first.actions.shape == (6, 7)
    commanded = first.actions[:3, :3].sum(axis=0)
    moved = second.observation.state[:3] - first.observation.state[:3]
    assert np.linalg.norm(commanded) > 0.03
    assert moved == pytest.approx(commanded, abs=0.012)  # an arm lags its command
    assert second.observation.stamp - first.observation.stamp == pytest.approx(3 * 0.2 + 0.12)


def test_the_same_seed_gives_the_same_frame(driver):
    one, again = (next(driver.episode("push_red_left", 41, frames=1, spacing=1, horizon=2)) for _ in range(2))
    assert np.array_equal(one.actions, again.actions)
    assert np.array_equal(one.observation.images["front"], again.observation.images["front"])
    assert one.observation.instruction == "push the red cube to the left"
