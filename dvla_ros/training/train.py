"""The training loop of the small policies."""

import copy
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dvla_ros.actions.normalization import DatasetStatistics, FeatureStatistics, Normalizer
from dvla_ros.errors import ConfigurationError
from dvla_ros.models.networks import make_network
from dvla_ros.models.perception import PerceptionConfig
from dvla_ros.models.text import SentenceEncoder
from dvla_ros.policies.checkpoint import read_config, read_part, read_statistics, read_weights, write_checkpoint
from dvla_ros.policies.frozen_way import FrozenWay
from dvla_ros.simulation.tasks import TASKS
from dvla_ros.training.batch import Batch, Losses
from dvla_ros.training.config import TrainConfig
from dvla_ros.training.demonstrations import Demonstrations, Manifest, read_demonstrations
from dvla_ros.training.parallel import ProcessGroup
from dvla_ros.training.recipes import make_recipe

GRIPPER_COLUMN = 6


@dataclass(frozen=True)
class Progress:
    """One line of the training log; losses are running means by name."""

    step: int
    seconds: float
    examples_per_second: float
    losses: dict[str, float]


class Trainer:
    """Data, network and optimiser of one run."""

    def __init__(self, config: TrainConfig) -> None:
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.config = config
        self._demonstrations = read_demonstrations(config.data)
        self.statistics = self._statistics()
        _require_fit(config.perception, self._demonstrations)
        self._recipe = make_recipe(config, self._demonstrations, self.statistics)
        normalizer = Normalizer.from_statistics(self.statistics.proprio, "min_max")
        self._states = torch.from_numpy(normalizer.normalize(self._demonstrations.states).astype(np.float32))
        self._points = torch.from_numpy(normalize_points(self._demonstrations.points, normalizer))
        self._moved = torch.from_numpy(FrozenWay(normalizer).of(_frozen_actions(self._demonstrations)))
        encoder = SentenceEncoder(config.perception.text_tokens)
        self._sentences = _embed_sentences(self._demonstrations, encoder)
        self._no_sentence = encoder.encode("")
        self.model = self._network()
        self.average = copy.deepcopy(self.model).eval()
        self._group = ProcessGroup()
        self._generator = torch.Generator().manual_seed(config.seed + self._group.rank)
        self._rng = np.random.default_rng([config.seed, self._group.rank])

    def run(self, report: Callable[[Progress], None], report_every: int = 100) -> None:
        """Train to the end, saving now and then; `report` is called with running means."""
        config = self.config
        trained = [p for p in self.model.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(_parameter_groups(trained, config.weight_decay), lr=config.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            config.learning_rate,
            total_steps=config.steps,
            pct_start=0.05,
            div_factor=20,
            cycle_momentum=False,
        )
        started, means = time.monotonic(), _RunningMeans()
        for step in range(1, config.steps + 1):
            losses = self._recipe.objective(self.model, self.batch(), self._generator)
            optimiser.zero_grad(set_to_none=True)
            losses.total.backward()
            self._group.average_gradients(trained)
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            schedule.step()
            self._update_average(step)
            means.add(losses)
            if self._group.first and (step % report_every == 0 or step == config.steps):
                seconds = time.monotonic() - started
                rate = step * config.batch_size * self._group.size / seconds
                self._log(Progress(step, seconds, rate, means.values()), report)
            if self._group.first and (step % config.save_every == 0 or step == config.steps):
                self.save()

    def batch(self) -> Batch:
        """Random frames, each with one of its sentences, other light and sensor noise."""
        rows = self._rng.integers(len(self._demonstrations), size=self.config.batch_size)
        demonstrations = self._demonstrations
        images = torch.from_numpy(demonstrations.images[rows]).permute(0, 1, 4, 2, 3)
        return Batch(
            images=self._jitter(images),
            text=torch.stack([self._sentence(int(i)) for i in demonstrations.instructions[rows]]),
            state=self._states[rows],
            pixels=torch.from_numpy(demonstrations.pixels[rows]),
            points=self._points[rows],
            targets=self._recipe.targets.rows(torch.from_numpy(rows)),
            frozen=torch.from_numpy(demonstrations.frozen[rows]),
            moved=self._moved[rows],
        )

    def save(self) -> None:
        """Write the averaged weights as a checkpoint."""
        write_checkpoint(self.config.out, self._recipe.config, self.average, self.statistics)
        self._recipe.write_extras(self.config.out)

    def _statistics(self) -> DatasetStatistics:
        # Weights mean something only together with the statistics they were trained with.
        source = self.config.init or self.config.backbone
        if source is None:
            return fit_statistics(self._demonstrations)
        return read_statistics(source, read_config(source).spec)

    def _network(self) -> nn.Module:
        config = self.config
        model: nn.Module = make_network(self._recipe.config.model)
        if config.init is not None:
            read_weights(config.init, model)
        if config.backbone is not None:
            _require_same_heads(config.backbone, config.heads)
            for part in ("perception", "trunk"):
                read_part(config.backbone, model, part)
        if config.freeze_perception:
            model.get_submodule("perception").requires_grad_(False)
        return model

    @torch.no_grad()
    def _update_average(self, step: int) -> None:
        # A short memory at first, so that early weights are forgotten.
        decay = min(self.config.ema, (1.0 + step) / (10.0 + step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1.0 - decay)

    def _sentence(self, index: int) -> Tensor:
        """The canonical sentence half of the time, else one of its other phrasings; sometimes none."""
        dropped = self.config.drop_instruction
        if dropped > 0 and self._rng.random() < dropped:
            return self._no_sentence
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


class _RunningMeans:
    """Exponential means of the losses by name; plain means at first."""

    def __init__(self) -> None:
        self._count = 0
        self._means: dict[str, float] = {}

    def add(self, losses: Losses) -> None:
        """Take in one step."""
        self._count += 1
        share = max(0.01, 1.0 / self._count)
        for name, loss in losses.parts.items():
            mean = self._means.get(name, loss.item())
            self._means[name] = mean + share * (loss.item() - mean)

    def values(self) -> dict[str, float]:
        """The means so far."""
        return dict(self._means)


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


def normalize_points(points: np.ndarray, normalizer: Normalizer) -> np.ndarray:
    """Points `[..., 3]` in m as float32 in the units of the normalised state's x, y, z; not clipped."""
    low, high = normalizer.low[:3], normalizer.high[:3]
    scaled: np.ndarray = (2.0 * (points - low) / (high - low) - 1.0).astype(np.float32)
    return scaled


def _frozen_actions(demonstrations: Demonstrations) -> np.ndarray:
    """The actions `[N, H, D]` that were being executed, zero where they are to be decided."""
    horizon = demonstrations.actions.shape[1]
    frozen: np.ndarray = np.arange(horizon) < demonstrations.frozen[:, None]
    return np.where(frozen[..., None], demonstrations.actions, 0.0)


def _embed_sentences(demonstrations: Demonstrations, encoder: SentenceEncoder) -> dict[int, Tensor]:
    """Embeddings `[phrasings, T, 384]` of each task that occurs, by its number."""
    return {
        int(task): torch.stack([encoder.encode(sentence) for sentence in phrasings(demonstrations.manifest, int(task))])
        for task in np.unique(demonstrations.instructions)
    }


def phrasings(manifest: Manifest, index: int) -> tuple[str, ...]:
    """All sentences that ask for the same: those of a simulated task, or the one sentence of a recording."""
    task = TASKS.get(manifest.task_names[index])
    return (manifest.instructions[index],) if task is None else task.phrasings


def _parameter_groups(parameters: Sequence[nn.Parameter], weight_decay: float) -> list[dict[str, object]]:
    matrices = [p for p in parameters if p.ndim >= 2]
    others = [p for p in parameters if p.ndim < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
