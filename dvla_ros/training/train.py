"""The training loop of the small policy."""

import copy
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dvla_ros.actions.bins import UniformBins
from dvla_ros.actions.codec import ActionCodec
from dvla_ros.actions.normalization import DatasetStatistics, FeatureStatistics, Normalizer
from dvla_ros.denoising.masked import MaskedConfig
from dvla_ros.errors import ConfigurationError
from dvla_ros.models.small_vla import SmallVla, SmallVlaConfig
from dvla_ros.models.text import SentenceEncoder
from dvla_ros.policies.checkpoint import CheckpointConfig, read_config, read_statistics, read_weights, write_checkpoint
from dvla_ros.simulation.tasks import TASKS
from dvla_ros.training.demonstrations import Demonstrations, read_demonstrations
from dvla_ros.training.objective import Batch, Losses, MaskedObjective, ObjectiveConfig
from dvla_ros.training.parallel import ProcessGroup

GRIPPER_COLUMN = 6


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Attributes:
        data: Folders of demonstrations.
        out: Checkpoint folder to write; a log stands beside the weights.
        init: Checkpoint folder to start from, with its statistics; None starts from scratch.
        steps: Optimiser steps.
        batch_size: Observations per step and process; `torchrun` starts several processes.
        learning_rate: Peak of a cosine schedule with a short warm-up.
        weight_decay: Of AdamW.
        ema: Decay of the averaged weights, which are what is saved.
        seed: Makes a run reproducible on one machine.
        threads: CPU threads.
        save_every: Steps between saved checkpoints.
        execute_steps: Written into the checkpoint.
        model: Sizes of the network.
        objective: Weights of the loss.
        decoding: Default decoder of the checkpoint.
    """

    data: tuple[Path, ...]
    out: Path
    init: Path | None = None
    steps: int = 20_000
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    ema: float = 0.999
    seed: int = 0
    threads: int = 2
    save_every: int = 500
    execute_steps: int = 5
    model: SmallVlaConfig = field(default_factory=SmallVlaConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    decoding: MaskedConfig = field(default_factory=MaskedConfig)

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size, self.threads, self.save_every) < 1 or self.learning_rate <= 0:
            raise ConfigurationError(
                f"steps, batch_size, threads, save_every and learning_rate must be positive: {self}."
            )


@dataclass(frozen=True)
class Progress:
    """One line of the training log; losses are running means."""

    step: int
    seconds: float
    examples_per_second: float
    tokens: float
    expectation: float
    grounding: float
    localising: float


class Trainer:
    """Data, network and optimiser of one run."""

    def __init__(self, config: TrainConfig) -> None:
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.config = config
        self._demonstrations = read_demonstrations(config.data)
        _require_fit(config.model, self._demonstrations)
        # Weights mean something only together with the statistics they were trained with.
        self.statistics = (
            fit_statistics(self._demonstrations)
            if config.init is None
            else read_statistics(config.init, read_config(config.init).spec)
        )
        bins = UniformBins(config.model.vocabulary)
        codec = ActionCodec(Normalizer.from_statistics(self.statistics.action), bins)
        self._tokens = torch.from_numpy(codec.encode(self._demonstrations.actions)).flatten(1)
        normalizer = Normalizer.from_statistics(self.statistics.proprio, "min_max")
        self._states = torch.from_numpy(normalizer.normalize(self._demonstrations.states).astype(np.float32))
        self._points = torch.from_numpy(normalize_points(self._demonstrations.points, normalizer))
        self._sentences = _embed_sentences(self._demonstrations.manifest.task_names, config.model.text_tokens)
        self.model = SmallVla(config.model)
        if config.init is not None:
            read_weights(config.init, self.model)
        self.average = copy.deepcopy(self.model).eval()
        self._objective = MaskedObjective(config.objective, torch.from_numpy(bins.centres).float())
        self._group = ProcessGroup()
        self._generator = torch.Generator().manual_seed(config.seed + self._group.rank)
        self._rng = np.random.default_rng([config.seed, self._group.rank])

    def run(self, report: Callable[[Progress], None], report_every: int = 100) -> None:
        """Train to the end, saving now and then; `report` is called with running means."""
        config = self.config
        optimiser = torch.optim.AdamW(_parameter_groups(self.model, config.weight_decay), lr=config.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            config.learning_rate,
            total_steps=config.steps,
            pct_start=0.05,
            div_factor=20,
            cycle_momentum=False,
        )
        started, means = time.monotonic(), np.zeros(4)
        for step in range(1, config.steps + 1):
            losses = self._objective(self.model, self._batch(), self._generator)
            optimiser.zero_grad(set_to_none=True)
            losses.total.backward()
            self._group.average_gradients(self.model.parameters())
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            self._update_average(step)
            means += (_values(losses) - means) * max(0.01, 1.0 / step)
            if self._group.first and (step % report_every == 0 or step == config.steps):
                seconds = time.monotonic() - started
                self._log(
                    Progress(step, seconds, step * config.batch_size * self._group.size / seconds, *means.tolist()),
                    report,
                )
            if self._group.first and (step % config.save_every == 0 or step == config.steps):
                self.save()

    def save(self) -> None:
        """Write the averaged weights as a checkpoint."""
        config = CheckpointConfig(
            model=self.config.model,
            decoding=self.config.decoding,
            cameras=self._demonstrations.manifest.cameras,
            execute_steps=self.config.execute_steps,
            dt=self._demonstrations.manifest.dt,
        )
        write_checkpoint(self.config.out, config, self.average, self.statistics)

    @torch.no_grad()
    def _update_average(self, step: int) -> None:
        # A short memory at first, so that early weights are forgotten.
        decay = min(self.config.ema, (1.0 + step) / (10.0 + step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1.0 - decay)

    def _batch(self) -> Batch:
        rows = self._rng.integers(len(self._demonstrations), size=self.config.batch_size)
        demonstrations = self._demonstrations
        images = torch.from_numpy(demonstrations.images[rows]).permute(0, 1, 4, 2, 3)
        return Batch(
            images=self._jitter(images),
            text=torch.stack([self._sentence(int(i)) for i in demonstrations.instructions[rows]]),
            state=self._states[rows],
            tokens=self._tokens[rows],
            pixels=torch.from_numpy(demonstrations.pixels[rows]),
            points=self._points[rows],
        )

    def _sentence(self, index: int) -> Tensor:
        """The canonical sentence half of the time, else one of its other phrasings."""
        choices = self._sentences[index]
        return choices[0 if self._rng.random() < 0.5 else int(self._rng.integers(len(choices)))]

    def _jitter(self, images: Tensor) -> Tensor:
        """Lighting and sensor noise, float `[B, C, 3, h, w]` in 0..255."""
        batch, cameras = images.shape[:2]
        gain = self._uniform(0.85, 1.15, batch, cameras, 1) * self._uniform(0.95, 1.05, batch, cameras, 3)
        offset = self._uniform(-10.0, 10.0, batch, cameras, 1)
        return images.float() * gain + offset + 3.0 * torch.randn(images.shape, generator=self._generator)

    def _uniform(self, low: float, high: float, batch: int, cameras: int, channels: int) -> Tensor:
        """One draw per image or per colour channel, `[B, C, channels, 1, 1]`."""
        return low + (high - low) * torch.rand(batch, cameras, channels, 1, 1, generator=self._generator)

    def _log(self, progress: Progress, report: Callable[[Progress], None]) -> None:
        self.config.out.mkdir(parents=True, exist_ok=True)
        with (self.config.out / "training_log.jsonl").open("a") as log:
            log.write(json.dumps(asdict(progress)) + "\n")
        report(progress)


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


def _require_fit(sizes: SmallVlaConfig, demonstrations: Demonstrations) -> None:
    _, cameras, height, width, _ = demonstrations.images.shape
    _, horizon, action_dim = demonstrations.actions.shape
    found = {
        "cameras": cameras,
        "image_height": height,
        "image_width": width,
        "state_dim": demonstrations.states.shape[1],
        "horizon": horizon,
        "action_dim": action_dim,
    }
    wrong = [f"{name}={getattr(sizes, name)}" for name, value in found.items() if getattr(sizes, name) != value]
    if wrong:
        raise ConfigurationError(f"The network is made for {', '.join(wrong)}, the demonstrations have {found}.")


def normalize_points(points: np.ndarray, normalizer: Normalizer) -> np.ndarray:
    """Points `[..., 3]` in m as float32 in the units of the normalised state's x, y, z; not clipped."""
    low, high = normalizer.low[:3], normalizer.high[:3]
    scaled: np.ndarray = (2.0 * (points - low) / (high - low) - 1.0).astype(np.float32)
    return scaled


def _embed_sentences(task_names: Sequence[str], max_tokens: int) -> list[Tensor]:
    """Embeddings `[phrasings, T, 384]` of each task."""
    encoder = SentenceEncoder(max_tokens)
    return [torch.stack([encoder.encode(s) for s in TASKS[name].phrasings]) for name in task_names]


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _values(losses: Losses) -> np.ndarray:
    return np.array(
        [losses.tokens.item(), losses.expectation.item(), losses.grounding.item(), losses.localising.item()]
    )
