"""Unseen sentences ask for the task, in words that no demonstration has."""

import pytest

from dvla_ros.simulation.tasks import ALL_TASKS
from dvla_ros.simulation.unseen_phrasings import KINDS, unseen_phrasings

SEEN = {sentence for task in ALL_TASKS.values() for sentence in task.phrasings}


@pytest.mark.parametrize("task", ALL_TASKS.values(), ids=lambda task: task.name)
def test_no_demonstration_has_them_and_they_name_the_cubes(task):
    sentences = unseen_phrasings(task)
    assert len(sentences) == len(KINDS) and not SEEN & set(sentences)
    named = [getattr(task, name) for name in ("target", "base", "direction") if hasattr(task, name)]
    assert all(word in sentence.split() for sentence in sentences for word in named)


def test_no_two_tasks_share_one():
    sentences = [sentence for task in ALL_TASKS.values() for sentence in unseen_phrasings(task)]
    assert len(set(sentences)) == len(sentences)
