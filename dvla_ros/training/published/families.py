"""Which reader and which learner belong to a checkpoint."""

from functools import singledispatch
from typing import Any

from dvla_ros.errors import ConfigurationError
from dvla_ros.policies.published.layout import Setup
from dvla_ros.policies.published.prismatic_layout import PrismaticSetup
from dvla_ros.training.published.examples import Reader
from dvla_ros.training.published.prismatic_examples import PrismaticReader
from dvla_ros.training.published.prismatic_learner import PrismaticLearner


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
