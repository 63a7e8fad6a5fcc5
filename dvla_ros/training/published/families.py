"""Which reader and which learner belong to a checkpoint."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dvla_ros.denoising.flow import FlowConfig
from dvla_ros.denoising.flow_paths import embedding_distance
from dvla_ros.denoising.registry import decoder_config
from dvla_ros.errors import ConfigurationError
from dvla_ros.policies.coding import token_values
from dvla_ros.policies.published.emu3_layout import Emu3Setup
from dvla_ros.policies.published.layout import Setup
from dvla_ros.policies.published.llada_v_layout import LladaVSetup
from dvla_ros.policies.published.prismatic_layout import PrismaticSetup
from dvla_ros.policies.published.qwen2_vl_layout import Qwen2VlSetup
from dvla_ros.policies.published.qwen2_vl_weights import TRAINED_PARTS
from dvla_ros.policies.published.self_tests import blank_observation
from dvla_ros.preprocessing.emu3_tokenizer import BOA
from dvla_ros.preprocessing.emu3_tokenizer import MASK as EMU3_MASK
from dvla_ros.preprocessing.llada_prompt import MASK
from dvla_ros.training.batch import Objective
from dvla_ros.training.objectives.dd_vla import DdVlaObjective, DdVlaObjectiveConfig
from dvla_ros.training.objectives.dfm_vla import DfmVlaObjective, DfmVlaObjectiveConfig
from dvla_ros.training.objectives.diffusion_vla import DiffusionVlaObjective, DiffusionVlaObjectiveConfig
from dvla_ros.training.objectives.llada_vla import LladaVlaObjective, LladaVlaObjectiveConfig
from dvla_ros.training.objectives.settings import objective_settings
from dvla_ros.training.objectives.ud_vla import UdVlaObjective, UdVlaObjectiveConfig
from dvla_ros.training.published.emu3_examples import Emu3Batch, Emu3Reader
from dvla_ros.training.published.emu3_learner import Emu3Learner, with_image_codes
from dvla_ros.training.published.examples import PublishedExamples, Reader, Words
from dvla_ros.training.published.frames import TaughtFrame
from dvla_ros.training.published.llada_v_examples import LladaVReader
from dvla_ros.training.published.llada_v_learner import LladaVLearner
from dvla_ros.training.published.preset import Preset
from dvla_ros.training.published.prismatic_examples import PrismaticReader
from dvla_ros.training.published.prismatic_learner import PrismaticLearner
from dvla_ros.training.published.prismatic_objective import PrismaticSequenceObjective
from dvla_ros.training.published.qwen2_vl_examples import Qwen2VlReader, Qwen2Words
from dvla_ros.training.published.qwen2_vl_learner import Qwen2VlLearner


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


@reader_of.register
def _(setup: LladaVSetup, cut_out: bool = False) -> Reader:
    return LladaVReader(setup)


@reader_of.register
def _(setup: Emu3Setup, cut_out: bool = False) -> Reader:
    return Emu3Reader(setup)


@reader_of.register
def _(setup: Qwen2VlSetup, cut_out: bool = False) -> Reader:
    return Qwen2VlReader(setup, cut_out)


@learner_of.register
def _(setup: PrismaticSetup, network: Any) -> PrismaticLearner:
    return PrismaticLearner(setup, network)


@learner_of.register
def _(setup: LladaVSetup, network: Any) -> LladaVLearner:
    return LladaVLearner(setup, network)


@learner_of.register
def _(setup: Emu3Setup, network: Any) -> Emu3Learner:
    return Emu3Learner(setup, network)


@learner_of.register
def _(setup: Qwen2VlSetup, network: Any) -> Qwen2VlLearner:
    return Qwen2VlLearner(setup, network)


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


@objective_of.register
def _(setup: LladaVSetup, network: Any, preset: Preset) -> Objective:
    config = objective_settings(LladaVlaObjectiveConfig, preset.objective)
    return LladaVlaObjective(config, network.canvas, torch.from_numpy(token_values(setup.codec)).float())


@objective_of.register
def _(setup: Emu3Setup, network: Any, preset: Preset) -> Objective:
    canvas = setup.sequence.canvas
    if setup.sequence.imagines:
        config = objective_settings(UdVlaObjectiveConfig, preset.objective)
        return UdVlaObjective(config, canvas, setup.sequence.eoa)
    flow = decoder_config(setup.decoding)
    if not isinstance(flow, FlowConfig):
        raise ConfigurationError("dfm_vla is trained along the path of its decoder; keep decoder: flow.")
    table = network.token_table()
    if table.is_meta:  # a rehearsal, in which distances are of no consequence
        table = torch.randn(table.shape, generator=torch.Generator().manual_seed(0))
    distance = embedding_distance(table)
    return DfmVlaObjective(objective_settings(DfmVlaObjectiveConfig, preset.objective), flow, canvas, distance)


@objective_of.register
def _(setup: Qwen2VlSetup, network: Any, preset: Preset) -> Objective:
    return DiffusionVlaObjective(_diffusion_settings(setup, preset))


def _diffusion_settings(setup: Qwen2VlSetup, preset: Preset) -> DiffusionVlaObjectiveConfig:
    """Those of the preset; a checkpoint without FiLM says nothing."""
    config = objective_settings(DiffusionVlaObjectiveConfig, preset.objective)
    return config if setup.config.using_film else replace(config, reason=False)


@singledispatch
def action_ids(setup: Setup) -> Sequence[int]:
    """Rows of the embedding that stand for actions, and for their absence; none where actions are numbers."""
    return ()


@action_ids.register
def _(setup: PrismaticSetup) -> Sequence[int]:
    return [*setup.config.action_ids, setup.config.mask_token]


@action_ids.register
def _(setup: LladaVSetup) -> Sequence[int]:
    return [*setup.actions.ids, MASK]


@action_ids.register
def _(setup: Emu3Setup) -> Sequence[int]:
    return [*setup.sequence.action_ids, BOA, EMU3_MASK]


@singledispatch
def words_of(setup: Setup, preset: Preset) -> Words | None:
    """What encodes the reasoning; None for a system that says nothing."""
    return None


@singledispatch
def trained_parts_file(setup: Setup) -> str:
    """File beside an adapter that holds what was trained whole; "" where the adapter's own file does."""
    return ""


@singledispatch
def files_elsewhere(setup: Setup) -> Sequence[Path]:
    """Files of the checkpoint that are not in its folder; a checkpoint that is written has them in its own."""
    return ()


@files_elsewhere.register
def _(setup: Qwen2VlSetup) -> Sequence[Path]:
    return () if setup.statistics.parent == setup.folder else (setup.statistics,)


@trained_parts_file.register
def _(setup: Qwen2VlSetup) -> str:
    return TRAINED_PARTS


_LONG = "pick up the small red cube that lies behind the large green bowl and put it on the blue plate to the left " * 2
"""About as many tokens as `memory_plan.SENTENCE`."""


@words_of.register
def _(setup: Qwen2VlSetup, preset: Preset) -> Words | None:
    return Qwen2Words(setup) if _diffusion_settings(setup, preset).reason else None


@dataclass(frozen=True)
class _Blank:
    """One frame at rest."""

    setup: Setup

    def __len__(self) -> int:
        return 1

    def frame(self, row: int) -> TaughtFrame:
        seen = blank_observation(self.setup)
        rows = self.setup.normalizer.unnormalize(np.zeros((self.setup.spec.horizon, self.setup.normalizer.dim)))
        return TaughtFrame(seen.images, seen.state, _LONG, rows, futures=seen.images, reasoning=_LONG)


def blank_batch(setup: Setup, preset: Preset, count: int) -> Any:
    """A batch of grey images and one long sentence, as large as training's are, on the CPU."""
    examples = PublishedExamples(setup, reader_of(setup), _Blank(setup), words=words_of(setup, preset))
    return with_codes(setup, examples.collate([examples[0]] * count))


@singledispatch
def with_codes(setup: Setup, batch: Any) -> Any:
    """A blank batch with what its learner's `completed` would add to it."""
    return batch


@with_codes.register
def _(setup: Emu3Setup, batch: Emu3Batch) -> Emu3Batch:
    codes = {
        grid.camera: torch.zeros(len(batch), grid.rows, grid.columns, dtype=torch.int64)
        for grid in setup.sequence.grids
    }
    return with_image_codes(setup.sequence, batch, codes, codes)
