"""The training loop of the image tokenizer.

The input is jittered, the target is not: codes should carry neither sensor noise nor lighting.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.vq import Reconstruction, VqConfig, VqTokenizer, scale_pixels
from dvla_ros.training.vq_figures import VqFigures, measure
from dvla_ros.training.vq_images import ImageKey, VqImages, draw_keys
from dvla_ros.training.vq_loss import pixel_weights, weighted_error

_MEAN_IMAGES = 512


@dataclass(frozen=True)
class TrainVqConfig:
    """How to train.

    Attributes:
        data: Folders of demonstrations.
        out: Folder to write the tokenizer to; a log stands beside the weights.
        steps: Optimiser steps.
        batch_size: Images per step.
        learning_rate: Peak of a cosine schedule with a short warm-up.
        weight_decay: Of AdamW.
        commitment: Weight of the distance between vectors and their codes.
        coloured: Extra weight of a saturated pixel.
        changed: Extra weight of a pixel unlike the camera's mean image.
        codebook_decay: Of the running means that are the codes.
        dead_below: Uses per batch below which a code is replaced.
        hold_out_every: Episodes whose number is a multiple of this are for measuring only; 2 or more.
        bfloat16: Compute convolutions in bfloat16.
        seed: Makes a run reproducible on one machine.
        threads: CPU threads.
        save_every: Steps between saved tokenizers.
        model: Sizes of the network.
    """

    data: tuple[Path, ...]
    out: Path
    steps: int = 5_000
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    commitment: float = 0.25
    coloured: float = 10.0
    changed: float = 4.0
    codebook_decay: float = 0.98
    dead_below: float = 0.02
    hold_out_every: int = 20
    bfloat16: bool = True
    seed: int = 0
    threads: int = 1
    save_every: int = 500
    model: VqConfig = field(default_factory=VqConfig)

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size, self.threads, self.save_every) < 1 or self.learning_rate <= 0:
            raise ConfigurationError(
                f"steps, batch_size, threads, save_every and learning_rate must be positive: {self}."
            )
        if min(self.commitment, self.coloured, self.changed, self.dead_below, self.weight_decay) < 0:
            raise ConfigurationError(
                f"commitment, coloured, changed, dead_below and weight_decay must not be negative: {self}."
            )
        if not 0.0 <= self.codebook_decay < 1.0:
            raise ConfigurationError(f"codebook_decay must be 0 or more and below 1, got {self.codebook_decay}.")
        if self.hold_out_every < 2:
            raise ConfigurationError(f"hold_out_every must be 2 or more, got {self.hold_out_every}.")


@dataclass(frozen=True)
class VqProgress:
    """One line of the training log; losses are running means.

    Attributes:
        step: Optimiser steps done.
        seconds: Since the start.
        images_per_second: Trained on.
        reconstruction: Weighted error.
        commitment: Mean squared distance of vectors to their codes.
        revived: Codes that were dead and replaced, per step.
    """

    step: int
    seconds: float
    images_per_second: float
    reconstruction: float
    commitment: float
    revived: float


class VqTrainer:
    """Images, network and optimiser of one run."""

    def __init__(self, config: TrainVqConfig) -> None:
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.config = config
        self.tokenizer = VqTokenizer(config.model)
        self._images = VqImages(config.data, config.model.image_width, config.model.image_height)
        held_out = self._images.held_out(config.hold_out_every)
        self._train_frames, self.held_out_frames = np.flatnonzero(~held_out), np.flatnonzero(held_out)
        if not len(self._train_frames):
            raise ConfigurationError(
                f"Every episode is a multiple of hold_out_every={config.hold_out_every}; none is left to train on."
            )
        self._generator = torch.Generator().manual_seed(config.seed)
        self._rng = np.random.default_rng(config.seed)
        self._means = torch.stack([self._mean_image(camera) for camera in range(len(self._images.cameras))])

    def run(self, report: Callable[[VqProgress], None], report_every: int = 100) -> None:
        """Train to the end, saving now and then; `report` is called with running means."""
        config = self.config
        optimiser = torch.optim.AdamW(
            self.tokenizer.parameters(), lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=config.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            config.learning_rate,
            total_steps=config.steps,
            pct_start=0.05,
            div_factor=20,
            cycle_momentum=False,
        )
        started, means = time.monotonic(), np.zeros(3)
        for step in range(1, config.steps + 1):
            means += (self._step(optimiser) - means) * max(0.01, 1.0 / step)
            schedule.step()
            if step % report_every == 0 or step == config.steps:
                seconds = time.monotonic() - started
                self._log(VqProgress(step, seconds, step * config.batch_size / seconds, *means.tolist()), report)
            if step % config.save_every == 0 or step == config.steps:
                self.tokenizer.save(config.out)

    @torch.no_grad()
    def evaluate(self, images: int = 1000, batch_size: int = 50) -> VqFigures:
        """Measure reconstructions of random images of the held-out episodes.

        Raises:
            ConfigurationError: No episode was held out.
        """
        if not len(self.held_out_frames):
            raise ConfigurationError(
                f"No episode number is a multiple of hold_out_every={self.config.hold_out_every}; collect more."
            )
        rng = np.random.default_rng(self.config.seed)
        keys = draw_keys(self.held_out_frames, len(self._images.cameras), images, rng)
        seen, made, codes = [], [], []
        for start in range(0, images, batch_size):
            seen.append(torch.from_numpy(self._images.read(keys[start : start + batch_size])))
            codes.append(self.tokenizer.encode(seen[-1]))
            made.append(self.tokenizer.decode(codes[-1]))
        return measure(torch.cat(seen), torch.cat(made), torch.cat(codes), self._mean_of(keys))

    def _step(self, optimiser: torch.optim.Optimizer) -> np.ndarray:
        """One optimiser step; the three numbers of `VqProgress`."""
        config = self.config
        keys = draw_keys(self._train_frames, len(self._images.cameras), config.batch_size, self._rng)
        images = torch.from_numpy(self._images.read(keys)).float()
        with torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16):
            made: Reconstruction = self.tokenizer(self._jitter(images))
        weight = pixel_weights(images, self._mean_of(keys), config.coloured, config.changed)
        reconstruction = weighted_error(made.pixels, scale_pixels(images), weight)
        optimiser.zero_grad(set_to_none=True)
        (reconstruction + config.commitment * made.commitment).backward()
        nn.utils.clip_grad_norm_(self.tokenizer.parameters(), 1.0)
        optimiser.step()
        revived = self.tokenizer.codebook.learn(
            made.vectors, made.codes, config.codebook_decay, config.dead_below, self._generator
        )
        return np.array([reconstruction.item(), made.commitment.item(), revived])

    def _mean_image(self, camera: int) -> Tensor:
        """What a camera shows on average, float `[3, h, w]`."""
        frames = np.random.default_rng(0).choice(self._train_frames, min(_MEAN_IMAGES, len(self._train_frames)))
        images = self._images.read([ImageKey(int(frame), camera, future=False) for frame in frames])
        return torch.from_numpy(images.mean(axis=0)).float()

    def _mean_of(self, keys: list[ImageKey]) -> Tensor:
        return self._means[[key.camera for key in keys]]

    def _jitter(self, images: Tensor) -> Tensor:
        """Lighting and sensor noise, float `[B, 3, h, w]` in 0..255."""
        batch = len(images)
        gain = self._uniform(0.85, 1.15, batch, 1) * self._uniform(0.95, 1.05, batch, 3)
        return (
            images * gain
            + self._uniform(-10.0, 10.0, batch, 1)
            + 3.0 * torch.randn(images.shape, generator=self._generator)
        )

    def _uniform(self, low: float, high: float, batch: int, channels: int) -> Tensor:
        """One draw per image or per colour channel, `[B, channels, 1, 1]`."""
        return low + (high - low) * torch.rand(batch, channels, 1, 1, generator=self._generator)

    def _log(self, progress: VqProgress, report: Callable[[VqProgress], None]) -> None:
        self.config.out.mkdir(parents=True, exist_ok=True)
        with (self.config.out / "vq_training_log.jsonl").open("a") as log:
            log.write(json.dumps(asdict(progress)) + "\n")
        report(progress)
