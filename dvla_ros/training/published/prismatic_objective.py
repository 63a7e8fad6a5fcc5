"""Discrete Diffusion VLA's loss as its training code has it: the language model's own, EOS and all of the vocabulary.

Published, from the network's code: cross-entropy over all 32064 rows at the masked action tokens and at EOS, which is
never masked; one mean over all of these labels; logits of the position before (seed systems, 1.5). Our own objective
asks for the 256 action tokens alone, which is all that a decoder may choose.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import Canvas
from dvla_ros.denoising.noise import Noise
from dvla_ros.training.batch import ExampleBatch
from dvla_ros.training.objectives.dd_vla import DdVlaObjective, DdVlaObjectiveConfig, MaskedExercise
from dvla_ros.training.published.padded_run import PaddedRun
from dvla_ros.training.published.prismatic_learner import PrismaticLearner

PUBLISHED = DdVlaObjectiveConfig(
    masks=1, neighbours=0.0, expectation=0.0, average="tokens", grounding=0.0, localising=0.0
)
"""The settings under which the corruption is the published one."""


class PrismaticSequenceObjective:
    """The published loss.

    Args:
        config: `masks`, `schedule`, `no_mask_token_prob` and `inpainting` count; the weights do not.
        canvas: Of one segment, a token for each number.
        centres: float `[V]`, the number each token stands for.
    """

    def __init__(self, config: DdVlaObjectiveConfig, canvas: Canvas, centres: Tensor) -> None:
        self._masking = DdVlaObjective(replace(config, average="tokens"), canvas, centres)
        self.weights: Mapping[str, float] = {"sequence": 1.0, "tokens": 0.0}

    def exercise(self, batch: ExampleBatch, noise: Noise) -> MaskedExercise:
        """See `Objective`."""
        drawn = self._masking.exercise(batch, noise)
        masked = drawn.counts["tokens"]
        return replace(drawn, counts={"sequence": masked + len(drawn.tokens), "tokens": masked})

    def sums(self, learner: PrismaticLearner, exercise: MaskedExercise) -> Mapping[str, Tensor]:
        """See `Objective`."""
        prefix: PaddedRun = learner.prefix(exercise.batch, len(exercise.tokens) // len(exercise.batch))  # type: ignore[arg-type]
        logits = learner.sequence_logits(prefix, exercise.canvas).float()
        labels = learner.published_ids(exercise.tokens).unsqueeze(-1)
        errors = logits.logsumexp(dim=-1) - logits.gather(-1, labels).squeeze(-1)
        ends = errors.new_ones(len(labels), 1)
        shares = torch.cat([exercise.share, ends], dim=1)
        tokens = (errors[:, :-1] * exercise.share).sum()
        return {"sequence": (errors * shares).sum(), "tokens": tokens.detach()}
