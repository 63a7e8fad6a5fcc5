"""Checkpoints of a run are whole or not there; the last ones and the best are kept, and the best stands on top."""

import errno
import json

import pytest

from dvla_ros.errors import CheckpointError, TrainingError
from dvla_ros.training.run_folder import RunFolder


def text(content):
    def write(folder):
        (folder / "model.txt").write_text(content)
        (folder / "part").mkdir()
        (folder / "part" / "words.txt").write_text(content)
        (folder / "resume").mkdir()
        (folder / "resume" / "state.txt").write_text(content)

    return write


def on_top(folder):
    return (folder.root / "model.txt").read_text()


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run", keep=2)


def test_the_last_steps_and_the_best_one_are_kept(folder):
    for step, score in ((10, 0.1), (20, 0.9), (30, 0.2), (40, 0.3), (50, 0.4)):
        folder.write(step, text(str(step)))
        folder.score(step, score)
        folder.publish(folder.chosen())
        folder.prune()
    assert folder.steps() == [20, 40, 50] and folder.chosen() == 20
    assert on_top(folder) == (folder.root / "part" / "words.txt").read_text() == "20"
    assert not (folder.root / "resume").exists()


def test_of_equals_the_later_is_chosen_and_without_scores_the_last(folder):
    for step in (1, 2, 3):
        folder.write(step, text(str(step)))
    assert folder.chosen() == 3
    folder.score(1, 0.5)
    folder.score(2, 0.5)
    assert folder.chosen() == 2


def test_what_cannot_be_written_leaves_what_was_there(folder):
    folder.write(1, text("first"))

    def full(path):
        (path / "model.txt").write_text("half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(TrainingError, match=r"step 2 cannot be written .*No space left.*last good .*000001.* resume"):
        folder.write(2, full)
    assert folder.steps() == [1]
    assert sorted(path.name for path in (folder.root / "steps").iterdir()) == ["000001"]


def test_a_checkpoint_that_was_not_finished_is_none(folder):
    folder.write(1, text("first"))
    (folder.root / "steps" / "000002.partial").mkdir()
    assert folder.to_resume() == 1
    folder.write(2, text("second"))
    assert folder.to_resume() == 2


def test_another_run_is_not_mixed_with_the_one_that_is_there(folder):
    folder.require_new()
    folder.write(7, text("seven"))
    with pytest.raises(CheckpointError, match="holds a run of 7 steps: go on with it"):
        folder.require_new()


def test_scores_are_plain_json(folder):
    folder.write(1, text("one"))
    folder.score(1, 0.25)
    assert json.loads((folder.root / "steps" / "scores.json").read_text()) == {"1": 0.25}
