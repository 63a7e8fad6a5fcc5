"""Recordings that are made once for all tests of evaluation."""

import pytest
from recorded_run import inverted_gripper, later_pictures, record_run, rewritten, shared_recording, worse_checkpoint

LATE_S = 0.2


@pytest.fixture(scope="session")
def recorded_bag(tmp_path_factory):
    """A shipped policy drives the simulated arm."""
    return shared_recording(tmp_path_factory, "recorded_run", record_run)


@pytest.fixture(scope="session")
def late_pictures_bag(tmp_path_factory, recorded_bag):
    """The same, but every picture is stamped 0.2 s too late."""
    return shared_recording(
        tmp_path_factory, "late_pictures", lambda folder: rewritten(recorded_bag, folder, later_pictures(LATE_S))
    )


@pytest.fixture(scope="session")
def inverted_gripper_bag(tmp_path_factory, recorded_bag):
    """The same, but the recorded actions say 1 for a closed gripper."""
    return shared_recording(
        tmp_path_factory, "inverted_gripper", lambda folder: rewritten(recorded_bag, folder, inverted_gripper)
    )


@pytest.fixture(scope="session")
def worse(tmp_path_factory):
    """The same checkpoint with noise on its weights."""
    return shared_recording(tmp_path_factory, "worse_policy", lambda folder: worse_checkpoint(folder, 1.0))
