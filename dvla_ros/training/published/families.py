"""Which reader and which learner belong to a checkpoint."""

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import torch

from dvla_ros.errors import ConfigurationError
from dvla_ros.policies.coding import token_values
from dvla_ros.policies.published.layout import Setup
from dvla_ros.policies.published.prismatic_layout import PrismaticSetup
from dvla_ros.training.batch import Objective
from dvla_ros.training.objectives.dd_vla import DdVlaObjective, DdVlaObjectiveConfig
from dvla_ros.training.objectives.settings import objective_settings
from dvla_ros.training.published.examples import Reader, Words
from dvla_ros.training.published.preset import Preset
from dvla_ros.training.published.prismatic_examples import PrismaticReader
from dvla_ros.training.published.prismatic_learner import PrismaticLearner
from dvla_ros.training.published.prismatic_objective import PrismaticSequenceObjective


@singledispatch
def reader_of(setup: Setup, cut_out: bool = False) -> Reader:
    """What reads frames for a checkpoint.

    Args:
        setup: The checkpoint.
        cut_out: Whether an augmentation cuts the images out already; the reader then does not cut out their middle.

    Raises:
        ConfigurationError: Checkpoints of this kind are not trained.
    """
    raise _unknown(setup)


@singledispatch
def learner_of(setup: Setup, network: Any) -> Any:
    """The network as objectives see it, with `module`: all that may be trained.

    Args:
        setup: The checkpoint.
        network: What `setup.network` gave.

    Raises:
        ConfigurationError: Checkpoints of this kind are not trained.
    """
    raise _unknown(setup)


@reader_of.register
def _(setup: PrismaticSetup, cut_out: bool = False) -> Reader:
    return PrismaticReader(setup, cut_out)


@learner_of.register
def _(setup: PrismaticSetup, network: Any) -> PrismaticLearner:
    return PrismaticLearner(setup, network)


def _unknown(setup: Setup) -> ConfigurationError:
    return ConfigurationError(f"{setup.folder} is read as {type(setup).__name__}, which nothing here trains.")


@singledispatch
def objective_of(setup: Setup, network: Any, preset: Preset) -> Objective:
    """The loss of a checkpoint's system.

    Args:
        setup: The checkpoint.
        network: What `setup.network` gave.
        preset: Its `loss` and `objective`.

    Raises:
        ConfigurationError: A setting is unknown or out of range, or checkpoints of this kind are not trained.
    """
    raise _unknown(setup)


@objective_of.register
def _(setup: PrismaticSetup, network: Any, preset: Preset) -> Objective:
    config = objective_settings(DdVlaObjectiveConfig, preset.objective)
    kind = PrismaticSequenceObjective if preset.loss == "published" else DdVlaObjective
    return kind(config, network.canvas, torch.from_numpy(token_values(setup.codec)).float())


@singledispatch
def action_ids(setup: Setup) -> Sequence[int]:
    """Rows of the embedding that stand for actions, and for their absence; none where actions are numbers."""
    return ()


@action_ids.register
def _(setup: PrismaticSetup) -> Sequence[int]:
    return [*setup.config.action_ids, setup.config.mask_token]


@singledispatch
def words_of(setup: Setup, preset: Preset) -> Words | None:
    """What encodes the reasoning; None for a system that says nothing."""
    return None
