"""Small checkpoints in the published layouts, written once and copied to be spoilt."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from published import DEPLOYMENTS

from dvla_ros.policies.checkpoint import dataclass_from_json
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.fresh import WRITERS

torch.set_num_threads(1)  # small matrices: more threads only wait for each other


@pytest.fixture(scope="session")
def fresh(tmp_path_factory):
    """A function that gives the folder of a system's small checkpoint; only to be read."""
    written: dict[str, Path] = {}

    def folder_of(system: str) -> Path:
        if system not in written:
            folder = tmp_path_factory.mktemp(system) / f"{system}--50000_chkpt"
            WRITERS[system](folder, size="small", seed=0)
            written[system] = folder
        return written[system]

    return folder_of


@pytest.fixture
def copy_of(fresh, tmp_path):
    """A function that gives a copy to spoil, with what lies beside it."""

    def copied(system: str) -> Path:
        source = fresh(system)
        shutil.copytree(source.parent, tmp_path / system)
        return tmp_path / system / source.name

    return copied


@pytest.fixture
def deployment_of():
    """A function that gives the deployment of a system's small checkpoint, with changes."""
    return lambda system, **changes: replace(dataclass_from_json(Deployment, DEPLOYMENTS[system]), **changes)
