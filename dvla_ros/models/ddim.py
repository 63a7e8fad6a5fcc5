"""Continuous action chunks by DDIM (Song et al. 2021), with the scheduler of `diffusers`."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from dvla_ros.denoising.noise import Noise
from dvla_ros.errors import ActionError, ConfigurationError

if TYPE_CHECKING:
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler


class NoisePredictor(Protocol):
    """An action head: `ConditionalUnet1D`, `ScaleDP`."""

    def __call__(self, noisy: Tensor, timestep: Tensor, condition: Tensor) -> Tensor:
        """The noise `[B, H, D]` in noisy actions `[B, H, D]` at diffusion steps int64 `[B]`, given `[B, C]`."""
        ...


@dataclass(frozen=True)
class DdimConfig:
    """Settings of the diffusion; the defaults are those of DiffusionVLA and DexVLA.

    Attributes:
        train_steps: Noise levels that the head was trained on.
        inference_steps: Denoising steps of a chunk; evenly spaced levels, the last is level 0.
        clip_sample: Whether each step's estimate of the clean chunk is clipped to -1..1, the range of the normalised
            actions.
        resamplings: How often each step is run where rows are frozen. 1 costs nothing extra, but the free rows may
            settle on an answer that does not go on from the frozen ones; each repetition noises the chunk anew and so
            brings the two together (RePaint, Lugmayr et al. 2022).
        warm_start_time: Share of the steps that a guess makes unnecessary: decoding begins after them, with the guess
            at the noise level reached by then (SDEdit, Meng et al. 2022); at least one step is left.
    """

    train_steps: int = 100
    inference_steps: int = 10
    clip_sample: bool = True
    resamplings: int = 1
    warm_start_time: float = 0.5

    def __post_init__(self) -> None:
        if self.train_steps < 1:
            raise ConfigurationError(f"train_steps must be 1 or more, got {self.train_steps}.")
        if not 1 <= self.inference_steps <= self.train_steps:
            raise ConfigurationError(
                f"inference_steps must be in 1..train_steps={self.train_steps}, got {self.inference_steps}."
            )
        if self.resamplings < 1:
            raise ConfigurationError(f"resamplings must be 1 or more, got {self.resamplings}.")
        if not 0 <= self.warm_start_time < 1:
            raise ConfigurationError(f"warm_start_time must be at least 0 and below 1, got {self.warm_start_time}.")

    @property
    def skipped(self) -> int:
        """Steps that a guess makes unnecessary."""
        return min(int(self.warm_start_time * self.inference_steps), self.inference_steps - 1)

    def scheduler(self) -> "DDIMScheduler":
        """A scheduler in single precision, its timesteps set; in bfloat16 the noise levels would become NaN."""
        # diffusers takes seconds to import; only who samples or trains such a head pays for it.
        from diffusers.schedulers.scheduling_ddim import DDIMScheduler

        scheduler = DDIMScheduler(
            num_train_timesteps=self.train_steps,
            beta_schedule="squaredcos_cap_v2",
            clip_sample=self.clip_sample,
            set_alpha_to_one=True,
            steps_offset=0,
            prediction_type="epsilon",
        )
        scheduler.set_timesteps(self.inference_steps)
        return scheduler


@dataclass(frozen=True)
class SampledChunk:
    """A batch of chunks.

    Attributes:
        actions: Normalised actions float32 `[B, H, D]`.
        nfe: Network function evaluations.
        complete: False where the deadline came before the last step: the actions are then the clean chunk as the last
            step that ran estimated it.
        estimates: Such estimates, one float32 `[B, H, D]` per run of the head; empty when they were not asked for.
    """

    actions: Tensor
    nfe: int
    complete: bool
    estimates: tuple[Tensor, ...]


@torch.no_grad()
def sample_chunk(
    head: NoisePredictor,
    condition: Tensor,
    shape: tuple[int, int],
    noise_seeds: Sequence[int],
    *,
    config: DdimConfig | None = None,
    frozen: Tensor | None = None,
    guess: Tensor | None = None,
    deadline_s: float | None = None,
    keep_estimates: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> SampledChunk:
    """Draw one chunk per seed.

    Frozen rows are in-painted: before every step they are put in at that step's noise level, with fresh noise.

    Args:
        head: Predicts the noise.
        condition: `[B, C]`, what the head's `encode_condition` gave; the head is run in its dtype.
        shape: Rows H and columns D of a chunk.
        noise_seeds: One per row, and the only source of randomness: a row's answer depends on its own seed alone.
        config: Noise levels and steps; None for the published ones.
        frozen: Normalised actions `[B, d, D]` of the first d rows, which are returned as they are.
        guess: Normalised actions `[B, H, D]` that the chunk may well become; fewer steps start from it.
        deadline_s: No further step is started after this many seconds; the first always runs.
        keep_estimates: Whether to keep each step's estimate.
        clock: Seconds, monotonic.

    Raises:
        ActionError: The sizes do not fit together, or the head answers with the wrong shape or with NaN.
    """
    started = clock()
    config = config or DdimConfig()
    _check_sizes(condition, shape, noise_seeds, frozen, guess)
    known = condition.new_zeros(len(noise_seeds), 0, shape[1]) if frozen is None else frozen
    known = known.to(device=condition.device, dtype=torch.float32)
    scheduler = config.scheduler()
    noise = Noise(noise_seeds, condition.device)
    skipped = 0 if guess is None else config.skipped
    passes = _passes(scheduler, config.resamplings if known.shape[1] else 1, skipped)
    noisy = gaussian(noise, *shape, step=-1)
    if guess is not None:
        noisy = noised(guess.to(noisy.device, torch.float32), noisy, passes[0].signal)
    estimates: list[Tensor] = []
    for step in passes:
        if estimates and _is_late(started, deadline_s, clock, condition.device):
            break
        if known.shape[1]:
            noisy = step.in_paint(noisy, known, noise)
        predicted = _predict(head, noisy, step.timestep, condition)
        noisy, estimate = scheduler.step(predicted, step.timestep, noisy, return_dict=False)
        estimates.append(_replace_leading(estimate, known))
    # The last step leads to noise level 0, where the chunk is its own estimate.
    actions = estimates[-1]
    if not bool(torch.isfinite(actions).all()):
        raise ActionError("The action head answered with NaN or infinity; check its weights and the condition.")
    complete = len(estimates) == len(passes)
    return SampledChunk(actions, len(estimates), complete, tuple(estimates) if keep_estimates else ())


def gaussian(noise: Noise, *shape: int, step: int, draw: int = 0) -> Tensor:
    """Independent standard normal numbers float32 `[B, *shape]` (Box and Muller 1958).

    Arguments as for `Noise.uniform`, of which each draw uses two.
    """
    radius = torch.sqrt(-2.0 * torch.log(noise.uniform(*shape, step=step, draw=2 * draw)))
    return radius * torch.cos(2.0 * math.pi * noise.uniform(*shape, step=step, draw=2 * draw + 1))


@dataclass(frozen=True)
class _Pass:
    """One run of the head: which step of the schedule, the how-manieth time, and ᾱ there and after it."""

    index: int
    timestep: int
    repetition: int
    signal: Tensor
    signal_after: Tensor

    def in_paint(self, noisy: Tensor, known: Tensor, noise: Noise) -> Tensor:
        """`noisy` `[B, H, D]` with the known rows `[B, d, D]` put in, both at this step's noise level."""
        shape = noisy.shape[1:]
        if self.repetition:  # the pass before left it at the level after this step
            again = gaussian(noise, *shape, step=self.index, draw=2 * self.repetition + 1)
            noisy = noised(noisy, again, self.signal / self.signal_after)
        fresh = gaussian(noise, *shape, step=self.index, draw=2 * self.repetition)
        return _replace_leading(noisy, noised(known, fresh[:, : known.shape[1]], self.signal))


def _passes(scheduler: "DDIMScheduler", repetitions: int, skipped: int) -> list[_Pass]:
    timesteps = scheduler.timesteps.tolist()
    signals = [*scheduler.alphas_cumprod[timesteps], scheduler.final_alpha_cumprod]
    return [
        _Pass(index, timestep, repetition, signals[index], signals[index + 1])
        for index, timestep in list(enumerate(timesteps))[skipped:]
        for repetition in range(repetitions)
    ]


def noised(clean: Tensor, noise: Tensor, signal: Tensor) -> Tensor:
    """The forward process: √ᾱ x + √(1 - ᾱ) ε, where `signal` is ᾱ and broadcasts against `[B, H, D]`."""
    return signal**0.5 * clean + (1 - signal) ** 0.5 * noise


def _check_sizes(
    condition: Tensor,
    shape: tuple[int, int],
    noise_seeds: Sequence[int],
    frozen: Tensor | None,
    guess: Tensor | None,
) -> None:
    rows, (horizon, dims) = len(noise_seeds), shape
    if condition.shape[0] != rows:
        raise ActionError(f"Every row of the condition needs a seed: {condition.shape[0]} rows, {rows} seeds.")
    if guess is not None and guess.shape != (rows, horizon, dims):
        raise ActionError(f"A guess must be {[rows, horizon, dims]}, got {list(guess.shape)}.")
    if frozen is None:
        return
    if frozen.dim() != 3 or frozen.shape[0] != rows or frozen.shape[2] != dims or frozen.shape[1] > horizon:
        raise ActionError(
            f"Frozen actions must be [{rows}, 0..{horizon}, {dims}], got {list(frozen.shape)}; give the first rows of "
            "every chunk of the batch."
        )


def _is_late(started: float, deadline_s: float | None, clock: Callable[[], float], device: torch.device) -> bool:
    if deadline_s is None:
        return False
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()  # else the clock would only measure the queueing of work
    return clock() - started >= deadline_s


def _replace_leading(rows: Tensor, leading: Tensor) -> Tensor:
    return torch.cat([leading, rows[:, leading.shape[1] :]], dim=1)


def _predict(head: NoisePredictor, noisy: Tensor, timestep: int, condition: Tensor) -> Tensor:
    timesteps = torch.full(noisy.shape[:1], timestep, dtype=torch.int64, device=noisy.device)
    predicted = head(noisy.to(condition.dtype), timesteps, condition)
    if predicted.shape != noisy.shape:
        raise ActionError(f"The action head must answer {list(noisy.shape)}, got {list(predicted.shape)}.")
    return predicted.float()
