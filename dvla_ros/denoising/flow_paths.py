"""Probability paths of discrete flow matching, for training and decoding: from noise at t = 0 to x_1 at t = 1.

Times are float and broadcast against tokens `[B, L]`, so one time per row is `[B, 1]`. `allowed` is bool `[L, V]` or
`[B, L, V]`, the ids that a position may hold (`Canvas.allowed`); None is all of them.
"""

import math
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from dvla_ros.denoising.noise import TRAINING, Noise
from dvla_ros.denoising.sampling import sample_weights
from dvla_ros.denoising.validation import require
from dvla_ros.errors import ConfigurationError

Schedule = Literal["polynomial", "cosine"]
Source = Literal["uniform", "mask"]

WHAT = "Flow matching"

LATEST_TIME = 1 - 2.0**-20
"""Times are clipped to this, so that rates that diverge at t = 1 stay finite in float32."""

LATEST_TRAINING_TIME = 1 - 1e-3
"""Beyond it nothing is left to learn and the weights of the losses diverge."""

LARGEST_DISTANCE = 16.0
"""`embedding_distance` of opposite vectors; `value_distance` has the same range, so that c means the same."""

_LARGEST_C = 1000.0
_LARGEST_ALPHA = 4.0


class ProbabilityPath(Protocol):
    """p_t(x | x_1), independently per position, and the rates that make a chain follow it."""

    def probabilities(self, target: Tensor, time: Tensor, allowed: Tensor | None = None) -> Tensor:
        """p_t(x | x_1) for x_1 = `target` `[B, L]`: float `[B, L, V]`, or V + 1 where MASK is possible."""
        ...

    def velocity(self, tokens: Tensor, target: Tensor, time: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Rates u(x) of jumping from `tokens` `[B, L]` to x, towards `target`: float `[B, L, V]`, 0 for staying."""
        ...


@dataclass(frozen=True)
class MetricPath:
    """p_t(x | x_1) = softmax_x(-beta_t d(x, x_1)) with beta_t = c (t / (1 - t))^alpha: the embedding path of DFM-VLA.

    Uniform at t = 0; as t grows, tokens far from x_1 go first. The velocity is the kinetic-optimal one (Shaul et al.,
    arXiv 2412.03487), u(x) = p_t(x | x_1) beta'_t max(d(z, x_1) - d(x, x_1), 0) from the present token z: a jump
    always comes closer to x_1.

    Attributes:
        distance: float `[V, V]`, row x_1 holds d(x, x_1); zero on the diagonal.
        c: In (0, 1000]; 3 in DFM-VLA and FUDOKI.
        alpha: In (0, 4]; 1 in DFM-VLA, 0.9 in FUDOKI. Below 1 beta' diverges at t = 0 and is 0 there instead, as in
            FUDOKI (arXiv 2505.20147), so that a first step from t = 0 never jumps.

    Raises:
        ConfigurationError: A number is out of range, or `distance` is not a distance matrix.
    """

    distance: Tensor
    c: float = 3.0
    alpha: float = 1.0

    def __post_init__(self) -> None:
        require_metric_constants(self.c, self.alpha)
        require_distance(self.distance)

    def beta(self, time: Tensor) -> Tensor:
        """beta_t, in the shape of `time`."""
        odds = _odds(time)
        return self.c * (odds if self.alpha == 1 else odds**self.alpha)

    def beta_rate(self, time: Tensor) -> Tensor:
        """Its derivative beta'_t = c alpha (t / (1 - t))^(alpha - 1) / (1 - t)^2, in the shape of `time`."""
        odds = _odds(time)
        if self.alpha == 1:
            return self.c * (1 + odds).square()
        rate = self.c * self.alpha * odds ** (self.alpha - 1) * (1 + odds) ** 2
        return rate.masked_fill(odds == 0, 0.0) if self.alpha < 1 else rate

    def probabilities(self, target: Tensor, time: Tensor, allowed: Tensor | None = None) -> Tensor:
        """As in `ProbabilityPath`; sums to 1 over the allowed ids."""
        return self._probabilities(self._distances(target), time, allowed)

    def velocity(self, tokens: Tensor, target: Tensor, time: Tensor, allowed: Tensor | None = None) -> Tensor:
        """As in `ProbabilityPath`."""
        distance = self._distances(target)
        nearer = (distance.gather(-1, tokens.unsqueeze(-1)) - distance).clamp_min_(0.0)
        approach = nearer.mul_(self.beta_rate(time).unsqueeze(-1))
        return approach.mul_(self._probabilities(distance, time, allowed))

    def _distances(self, target: Tensor) -> Tensor:
        """d(x, x_1) of every id x, float `[B, L, V]`."""
        return self.distance.index_select(0, target.flatten()).view(*target.shape, -1)

    def _probabilities(self, distance: Tensor, time: Tensor, allowed: Tensor | None) -> Tensor:
        """Of ids at these distances from their targets, both `[B, L, V]`."""
        logits = distance * -self.beta(time).unsqueeze(-1)
        if allowed is not None:
            logits = logits.masked_fill(~allowed, -torch.inf)
        return torch.softmax(logits, dim=-1)


@dataclass(frozen=True)
class MixturePath:
    """p_t = (1 - kappa_t) source + kappa_t delta_{x_1}, whose velocity is kappa' / (1 - kappa) (delta_{x_1} - delta_z).

    Gat et al., arXiv 2407.15595.

    Attributes:
        vocabulary: V.
        schedule: `polynomial`, kappa_t = t^power; `cosine`, kappa_t = 1 - cos(pi t / 2), whose unrevealed share is the
            cosine mask ratio.
        power: At least 1; only of `polynomial`.
        source: `uniform` over the allowed ids, or `mask`, all of it on MASK = V.

    Raises:
        ConfigurationError: A value is out of range.
    """

    vocabulary: int
    schedule: Schedule = "polynomial"
    power: float = 1.0
    source: Source = "uniform"

    def __post_init__(self) -> None:
        require_mixture_choices(self.schedule, self.power, self.source)

    def kappa(self, time: Tensor) -> Tensor:
        """kappa_t, the probability of x_1 being revealed, in the shape of `time`."""
        return 1 - self._hidden(time)

    def hazard(self, time: Tensor) -> Tensor:
        """kappa'_t / (1 - kappa_t), the rate of jumps and the weight of the losses, in the shape of `time`."""
        time = _clipped(time)
        if self.schedule == "cosine":
            return (math.pi / 2) * torch.sin(time * (math.pi / 2)) / self._hidden(time)
        return self.power * time ** (self.power - 1) / self._hidden(time)

    def probabilities(self, target: Tensor, time: Tensor, allowed: Tensor | None = None) -> Tensor:
        """As in `ProbabilityPath`."""
        hidden = self._hidden(time).unsqueeze(-1)
        noise = self._source(hidden, allowed)
        return hidden * noise + (1 - hidden) * _one_hot(target, noise.shape[-1])

    def velocity(self, tokens: Tensor, target: Tensor, time: Tensor, allowed: Tensor | None = None) -> Tensor:
        """As in `ProbabilityPath`; `tokens` may be MASK."""
        arrives = _one_hot(target, self.vocabulary) & (tokens != target).unsqueeze(-1)
        return self.hazard(time).unsqueeze(-1) * arrives

    def _hidden(self, time: Tensor) -> Tensor:
        """1 - kappa_t, without the cancellation near t = 1."""
        time = _clipped(time)
        if self.schedule == "cosine":
            return torch.sin((1 - time) * (math.pi / 2))
        return -torch.expm1(self.power * torch.log(time))

    def _source(self, like: Tensor, allowed: Tensor | None) -> Tensor:
        if self.source == "mask":
            return like.new_tensor([0.0] * self.vocabulary + [1.0])
        if allowed is None:
            return like.new_full((self.vocabulary,), 1 / self.vocabulary)
        return allowed.to(like.dtype) / allowed.sum(dim=-1, keepdim=True)


def embedding_distance(table: Tensor) -> Tensor:
    """d(x, y) = (||e_x - e_y||^2)^2 of the L2-normalised rows e: FUDOKI's distance, which DFM-VLA's facts point to.

    Compute it once per checkpoint.

    Args:
        table: float `[V, E]`, the embeddings of the ids 0..V-1.

    Returns:
        float32 `[V, V]`, 0 for equal directions, 4 for orthogonal ones, 16 for opposite ones.

    Raises:
        ConfigurationError: The table is not `[V, E]`, or a row is zero or not finite.
    """
    if table.ndim != 2:
        raise ConfigurationError(f"An embedding table must be [V, E], got {list(table.shape)}.")
    rows = table.detach().double()  # neighbours differ in the last digits of a float32 cosine
    norm = rows.norm(dim=-1, keepdim=True)
    unusable = ~(torch.isfinite(norm) & (norm > 0)).squeeze(-1)
    if bool(unusable.any()):
        ids = unusable.nonzero().flatten().tolist()
        some = f"{ids}" if len(ids) <= 8 else f"{ids[:8]} and {len(ids) - 8} more"
        raise ConfigurationError(f"The embeddings of ids {some} are zero or not finite and have no distance.")
    unit = rows / norm
    distance = (2 - 2 * unit @ unit.T).clamp_min(0.0) ** 2
    symmetric: Tensor = (distance + distance.T) / 2
    return symmetric.fill_diagonal_(0.0).float()


def value_distance(values: Tensor) -> Tensor:
    """d(x, y) = 16 |v_x - v_y| / (max v - min v): for tokens that are ordered, such as bins or coefficients.

    Args:
        values: float `[V]`, what each id stands for; in any order, not all equal.

    Returns:
        float32 `[V, V]`, from 0 to `LARGEST_DISTANCE`.

    Raises:
        ConfigurationError: The values are not `[V]`, not finite, or all equal.
    """
    if values.ndim != 1 or not bool(torch.isfinite(values).all()) or bool((values == values[:1]).all()):
        raise ConfigurationError(
            f"Distances between values need finite, different values [V], got {list(values.shape)}: {values}."
        )
    gap = (values.double().unsqueeze(1) - values.double()).abs()
    return (LARGEST_DISTANCE * gap / gap.max()).float()


def id_distance(vocabulary: int, device: torch.device | str = "cpu") -> Tensor:
    """`value_distance` of ids that are themselves the order, 16 |i - j| / (V - 1); float32 `[V, V]`."""
    return value_distance(torch.arange(vocabulary, device=device))


def sample_times(noise: Noise) -> Tensor:
    """Training times t ~ U(0, 0.999) of the rows, float32 `[B]`; draw 0 of the noise."""
    return noise.uniform(step=TRAINING) * LATEST_TRAINING_TIME


def sample_path(
    path: ProbabilityPath,
    tokens: Tensor,
    time: Tensor,
    noise: Noise,
    *,
    allowed: Tensor | None = None,
    fixed: Tensor | None = None,
) -> Tensor:
    """The noisy canvas of training, x_t ~ p_t(. | x_1) at every position independently.

    Args:
        path: Also the path of the decoder.
        tokens: int64 `[B, L]`, the true canvas x_1.
        time: float `[B]`, one per row.
        noise: Of the rows of `tokens`, of which draw 1 is taken.
        allowed: Ids that a position may hold; None is all.
        fixed: bool `[B, L]` or `[L]`, positions that are given and stay clean; None for none.

    Returns:
        int64 `[B, L]`; MASK is possible where the source is MASK.
    """
    probabilities = path.probabilities(tokens, time.unsqueeze(1), allowed)
    drawn = sample_weights(probabilities, noise, step=TRAINING, draw=1)
    return drawn if fixed is None else torch.where(fixed, tokens, drawn)


def require_metric_constants(c: float, alpha: float) -> None:
    """Check the constants of a `MetricPath`.

    Raises:
        ConfigurationError: One is out of range.
    """
    require(0 < c <= _LARGEST_C, WHAT, "c", c, f"above 0 and at most {_LARGEST_C:g}")
    require(0 < alpha <= _LARGEST_ALPHA, WHAT, "alpha", alpha, f"above 0 and at most {_LARGEST_ALPHA:g}")


def require_mixture_choices(schedule: Schedule, power: float, source: Source) -> None:
    """Check the settings of a `MixturePath`.

    Raises:
        ConfigurationError: One is unknown or out of range.
    """
    require(schedule in get_args(Schedule), WHAT, "schedule", schedule, f"one of {get_args(Schedule)}")
    require(1 <= power < math.inf, WHAT, "power", power, "at least 1")
    require(source in get_args(Source), WHAT, "source", source, f"one of {get_args(Source)}")


def require_distance(distance: Tensor) -> None:
    """Check a distance matrix; waits for the device.

    Raises:
        ConfigurationError: It is not square, finite, non-negative and zero on the diagonal.
    """
    shape = list(distance.shape)
    require(len(shape) == 2 and shape[0] == shape[1], WHAT, "the shape of the distances", shape, "[V, V]")
    least, most = float(distance.min()), float(distance.max())
    require(0 <= least <= most < math.inf, WHAT, "distances", (least, most), "finite and not negative")
    diagonal = float(distance.diagonal().abs().max())
    require(diagonal == 0, WHAT, "the distance of a token to itself", diagonal, "0")


def _clipped(time: Tensor) -> Tensor:
    return time.clamp(0.0, LATEST_TIME)


def _odds(time: Tensor) -> Tensor:
    """Odds t / (1 - t)."""
    time = _clipped(time)
    return time / (1 - time)


def _one_hot(tokens: Tensor, vocabulary: int) -> Tensor:
    """Like `torch.nn.functional.one_hot`, as bool, and without waiting for the device; ids beyond give no True."""
    return torch.arange(vocabulary, device=tokens.device) == tokens.unsqueeze(-1)
