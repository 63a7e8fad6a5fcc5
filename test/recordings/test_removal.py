"""Old bags make room; nothing else is ever deleted."""

import pytest
from bags import text, write_bag

from dvla_ros.errors import RecordingError
from dvla_ros.recordings.removal import remove_bag


def test_a_bag_is_removed_and_none_is_fine(tmp_path):
    bag = write_bag(tmp_path / "bag", [("/instruction", 1.0, text("go"))])
    remove_bag(bag)
    assert not bag.exists()
    remove_bag(bag)


def test_a_folder_with_anything_else_stays_as_it_is(tmp_path):
    bag = write_bag(tmp_path / "bag", [("/instruction", 1.0, text("go"))])
    (bag / "notes.txt").write_text("mine")
    with pytest.raises(RecordingError, match=r"is no bag: notes\.txt is in it"):
        remove_bag(bag)
    assert len(list(bag.iterdir())) == 3
