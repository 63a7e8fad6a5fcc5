"""Training of the small policies: from demonstrations and settings to a subject of the training loop."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dvla_ros.actions.normalization import DatasetStatistics, FeatureStatistics
from dvla_ros.datasets.read_options import ReadOptions
from dvla_ros.errors import ConfigurationError
from dvla_ros.models.networks import make_network
from dvla_ros.models.perception import PerceptionConfig
from dvla_ros.models.small_divla import SmallDivla
from dvla_ros.models.small_vla import SmallVla
from dvla_ros.models.text import SentenceEncoder
from dvla_ros.policies.checkpoint import read_config, read_part, read_statistics, read_weights, write_checkpoint
from dvla_ros.policies.systems import system_named
from dvla_ros.training.batch import NumberedBatch
from dvla_ros.training.config import TrainConfig
from dvla_ros.training.data_sources import prepared_sources
from dvla_ros.training.demonstrations import Demonstrations, read_demonstrations
from dvla_ros.training.example_loader import ExampleLoader, NumberedExamples
from dvla_ros.training.example_order import BatchShare, StepSampler
from dvla_ros.training.examples import Examples
from dvla_ros.training.frame_tensors import FrameTensors
from dvla_ros.training.history import read_history
from dvla_ros.training.learner import SmallLearner, SmallReasoningLearner
from dvla_ros.training.loop import LoopSettings, TrainingLoop
from dvla_ros.training.processes import make_accelerator
from dvla_ros.training.recipes import Recipe, make_recipe
from dvla_ros.training.run import CONVERTED, Run
from dvla_ros.training.run_folder import RunFolder
from dvla_ros.training.run_settings import identity
from dvla_ros.training.sentence_choice import SentenceChoice
from dvla_ros.training.shard import HORIZON
from dvla_ros.training.starting_point import horizon
from dvla_ros.training.subject import Subject
from dvla_ros.training.validation import Validation

GRIPPER_COLUMN = 6


class Trainer:
    """A run: its network, its data, its folder.

    Args:
        config: How to train.

    Raises:
        ConfigurationError: The settings do not fit each other or the demonstrations.
        CheckpointError: `out` holds another run, or what the run starts from is not usable.
        TrainingError: The run to go on with has other settings.
    """

    def __init__(self, config: TrainConfig) -> None:
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.config, self.folder = config, RunFolder(config.out, config.keep)
        if not config.resume:
            self.folder.require_new()
        accelerator = make_accelerator(config.device, config.precision, config.accumulate)
        self.warnings: list[str] = []
        demonstrations = self._demonstrations(config.data)
        _require_fit(config.perception, demonstrations)
        self.statistics = _statistics(config, demonstrations)
        recipe = make_recipe(config, demonstrations, self.statistics)
        self.model = _network(config, recipe)
        self.examples = _examples(config, recipe, demonstrations, self.statistics)
        self._share = BatchShare(
            config.batch_size, accelerator.num_processes, accelerator.process_index, config.accumulate
        )
        self._device = accelerator.device
        subject = subject_of(recipe, self.model, self.statistics)
        self.loop = TrainingLoop(self._settings(), subject, self._supply, self.folder, accelerator)
        self.run = Run(self.loop, self.folder, accelerator, config.resume, self._validation())

    @property
    def done(self) -> int:
        """Steps that are done already."""
        return self.run.done

    def _supply(self, done: int) -> Iterator[NumberedBatch]:
        sampler = StepSampler(self._share, self.config.steps, done)
        numbered = NumberedExamples(self.examples)
        return iter(ExampleLoader(numbered, sampler, self.config.workers, self._device))

    def _demonstrations(self, paths: Sequence[Path]) -> Demonstrations:
        """Training sets as they are; bags and LeRobot sets converted into the run's folder."""
        sizes = self.config.perception
        reading = ReadOptions(size=(sizes.image_width, sizes.image_height))
        rows = max(HORIZON, horizon(system_named(self.config.system).horizon, self.config))
        sources = prepared_sources(paths, self.config.out / CONVERTED, reading, rows)
        self.warnings += [f"{source.path}: {warning}" for source in sources for warning in source.warnings]
        return read_demonstrations([source.folder for source in sources])

    def _validation(self) -> Validation | None:
        config = self.config
        if not config.validation and not config.validation_tasks:
            return None
        demonstrations = self._demonstrations(config.validation) if config.validation else None
        return Validation(demonstrations, config.validation_frames, config.validation_tasks, config.validation_episodes)

    def _settings(self) -> LoopSettings:
        config = self.config
        return LoopSettings(
            steps=config.steps,
            examples=self._share.global_batch,
            learning_rate=config.learning_rate,
            schedule=config.schedule,
            warmup=config.warmup,
            drop_after=config.drop_after,
            least=0.0,
            weight_decay=config.weight_decay,
            betas=config.betas,
            epsilon=1e-8,
            max_norm=config.max_norm,
            ema=config.ema,
            seed=config.seed,
            shard=config.shard,
            save_every=config.save_every,
            report_every=config.report_every,
            identity={**identity(config), "examples": self._share.global_batch, "frames": len(self.examples)},
            before=read_history(config.init or config.backbone),
        )


def subject_of(recipe: Recipe, model: nn.Module, statistics: DatasetStatistics) -> Subject:
    """What the loop trains."""
    is_trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    # Copies: while the network is sharded, no process has all of it.
    fixed = {name: tensor.clone() for name, tensor in model.state_dict().items() if name not in is_trained}

    def write(folder: Path, trained: Mapping[str, Tensor]) -> None:
        write_checkpoint(folder, recipe.config, {**fixed, **trained}, statistics)
        recipe.write_extras(folder)

    learner: SmallLearner | SmallReasoningLearner
    if isinstance(model, SmallVla):
        learner = SmallLearner(model)
    else:
        assert isinstance(model, SmallDivla)
        learner = SmallReasoningLearner(model)
    return Subject(model, learner, recipe.objective, write)


def _statistics(config: TrainConfig, demonstrations: Demonstrations) -> DatasetStatistics:
    # Weights mean something only together with the statistics they were trained with.
    source = config.init or config.backbone
    if source is None:
        return fit_statistics(demonstrations)
    return read_statistics(source, read_config(source).spec)


def _network(config: TrainConfig, recipe: Recipe) -> nn.Module:
    model: nn.Module = make_network(recipe.config.model)
    if config.init is not None:
        read_weights(config.init, model)
    if config.backbone is not None:
        _require_same_heads(config.backbone, config.heads)
        for part in ("perception", "trunk"):
            read_part(config.backbone, model, part)
    if config.freeze_perception:
        model.get_submodule("perception").requires_grad_(False)
    return model


def _examples(
    config: TrainConfig, recipe: Recipe, demonstrations: Demonstrations, statistics: DatasetStatistics
) -> Examples:
    encoder = SentenceEncoder(config.perception.text_tokens)
    sentences = SentenceChoice(demonstrations.manifest, encoder, config.drop_instruction)
    frames = FrameTensors.of(demonstrations, statistics)
    return Examples(demonstrations, frames, recipe.targets, sentences, config.seed)


def fit_statistics(demonstrations: Demonstrations) -> DatasetStatistics:
    """Statistics of all actions and states; the gripper column passes through unnormalised."""
    rows = demonstrations.actions.reshape(-1, demonstrations.actions.shape[-1])
    mask = np.arange(rows.shape[1]) != GRIPPER_COLUMN
    return DatasetStatistics(
        action=FeatureStatistics.fit(rows, mask),
        proprio=FeatureStatistics.fit(demonstrations.states),
        num_transitions=len(demonstrations),
        num_trajectories=len(np.unique(demonstrations.episodes)),
    )


def _require_fit(sizes: PerceptionConfig, demonstrations: Demonstrations) -> None:
    _, cameras, height, width, _ = demonstrations.images.shape
    found = {
        "cameras": cameras,
        "image_height": height,
        "image_width": width,
        "state_dim": demonstrations.states.shape[1],
    }
    wrong = [f"{name}={getattr(sizes, name)}" for name, value in found.items() if getattr(sizes, name) != value]
    if wrong:
        raise ConfigurationError(f"The network is made for {', '.join(wrong)}, the demonstrations have {found}.")


def _require_same_heads(backbone: Path, heads: int) -> None:
    there = read_config(backbone).model.heads
    if there != heads:  # their weights have the same shapes and mean something else
        raise ConfigurationError(f"The trunk of {backbone} has {there} heads; set heads={there}, got {heads}.")
