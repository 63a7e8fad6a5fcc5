"""Frozen rows where tokens are frequencies: the network's answer, made to agree with the rows that are given."""

import numpy as np
import torch
from torch import Tensor

from dvla_ros.actions.dct import dct_matrix
from dvla_ros.actions.fast_chunk_codec import FastChunkCodec
from dvla_ros.denoising.loop import LogitsFn
from dvla_ros.denoising.state import Scores


class RowGuidance:
    """Adds to the logits of FAST tokens how well each value goes with the given rows, by Bayes' rule.

    A row x_i of a column is linear in the column's coefficients, x_i = sum_k C_ki a_k with C the cosine transform. Let
    coefficient k have the mean m_k and the variance v_k of the network's answer, and variance 0 once it is final. The
    given rows y then speak for the value a of coefficient k with the likelihood N(y; sum_{j != k} C_j m_j + C_k a,
    sum_{j != k} v_j C_j C_j^T + sigma^2): weakly while the other coefficients are open, strictly when they are not. So
    a decoder of any kind ends at a chunk that passes through the given rows and is the network's own elsewhere.

    Args:
        codec: With one token per coefficient, see `has_coefficients`.
        positions: Of the chunk's tokens on the canvas.
        final: Whether a token that is not MASK will not change any more.
        device: Of the canvas.
    """

    def __init__(self, codec: FastChunkCodec, positions: slice, *, final: bool, device: torch.device) -> None:
        self._codec, self._positions, self._final = codec, positions, final
        self._values = torch.from_numpy(coefficient_values(codec)).float().to(device)
        self._basis = torch.from_numpy(dct_matrix(codec.horizon).copy()).float().to(device)  # [H, H]
        # Rounding to whole coefficients moves a row by this much; what is asked for cannot be met more closely.
        self._variance = 1.0 / (12.0 * codec.tokenizer.scale**2)

    def through(self, rows: np.ndarray, network: LogitsFn) -> LogitsFn:
        """The same network, led to chunks that pass through the first rows.

        Args:
            rows: Physical `[d, D]`, d at least 1, of every chunk; or `[B, d, D]`, one for each.
            network: Asked.
        """
        known = torch.from_numpy(self._codec.normalizer.normalize(rows)).float().mT.to(self._values.device)

        def guided(tokens: Tensor) -> Scores:
            answer = network(tokens)
            scores = answer if isinstance(answer, Scores) else Scores(answer)
            return Scores(self._guided(tokens, scores.logits.float(), known), scores.rates)

        return guided

    def _guided(self, tokens: Tensor, logits: Tensor, known: Tensor) -> Tensor:
        count = len(self._values)
        own = logits[:, self._positions, :count]
        log_p = torch.log_softmax(own, dim=-1)
        mean, variance = self._moments(tokens[:, self._positions], log_p.exp())
        linear, quadratic = self._likelihood(mean, variance, known)
        bias = linear.unsqueeze(-1) * self._values - 0.5 * quadratic.unsqueeze(-1) * self._values**2
        # Ids that are no coefficient, such as EOA, keep their share of the probability.
        bias = bias - torch.logsumexp(log_p + bias, dim=-1, keepdim=True)
        guided = logits.clone()
        guided[:, self._positions, :count] = own + bias
        return guided

    def _moments(self, tokens: Tensor, probability: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of every coefficient, `[B, P]` each."""
        mean = probability @ self._values
        variance = (probability @ self._values**2 - mean**2).clamp_min(0.0)
        if not self._final:
            return mean, variance
        held = tokens < len(self._values)
        value = self._values[tokens.clamp_max(len(self._values) - 1)]
        return torch.where(held, value, mean), variance.masked_fill(held, 0.0)

    def _likelihood(self, mean: Tensor, variance: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers b and A of the log likelihood b a - A a^2 / 2 of every coefficient's value a, `[B, P]` each."""
        steps = known.shape[-1]
        basis = self._basis[:, :steps]  # [H, d]
        m, v = (part.unflatten(1, (len(basis), -1)).transpose(1, 2) for part in (mean, variance))  # [B, D, H]
        outer = basis.unsqueeze(-1) * basis.unsqueeze(-2)  # [H, d, d]
        spread = torch.einsum("bch,hij->bcij", v, outer) + self._variance * torch.eye(steps, device=m.device)
        others = spread.unsqueeze(2) - v[..., None, None] * outer  # [B, D, H, d, d]
        missing = (known - m @ basis).unsqueeze(2) + m.unsqueeze(-1) * basis  # [B, D, H, d]
        weights = torch.linalg.solve_ex(others, basis.expand_as(missing).unsqueeze(-1))[0].squeeze(-1)
        linear, quadratic = (weights * missing).sum(-1), (weights * basis).sum(-1)  # [B, D, H]
        return linear.transpose(1, 2).flatten(1), quadratic.transpose(1, 2).flatten(1)


def has_coefficients(codec: FastChunkCodec) -> bool:
    """Whether every token is one coefficient and every chunk has all of them, so that tokens stand for numbers."""
    return codec.length == codec.horizon * codec.dim and all(len(text) == 1 for text in _texts(codec))


def coefficient_values(codec: FastChunkCodec) -> np.ndarray:
    """The coefficient that each of FAST's ids stands for, float64 `[V]`; only where `has_coefficients`."""
    tokenizer = codec.tokenizer
    return np.array([(ord(text) + tokenizer.min_token) / tokenizer.scale for text in _texts(codec)])


def _texts(codec: FastChunkCodec) -> list[str]:
    inner = codec.tokenizer.tokenizer
    return [inner.decode([token], skip_special_tokens=False) for token in range(codec.tokenizer.vocabulary)]
