"""The floor of one chunk of a policy: its passes, one after the other, each with what it must read and multiply."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from dvla_ros.control.observation import Observation
from dvla_ros.engine.cache_plan import CachePlan
from dvla_ros.evaluation.decode.counted import counted_work
from dvla_ros.evaluation.decode.looked_at import number_bytes, sequence_shape, trunk_of
from dvla_ros.evaluation.decode.step_work import SequenceShape, chunk_work, published_step_work
from dvla_ros.evaluation.decode.trunk_work import head_work, pass_work, prefill_work
from dvla_ros.evaluation.decode.work import Work


@dataclass(frozen=True)
class ChunkWork:
    """The passes of one chunk.

    Attributes:
        before: What runs once: images, words and prefix; of a policy that reasons, its words, one pass each.
        steps: Denoising steps.
    """

    before: tuple[Work, ...]
    steps: tuple[Work, ...]

    @property
    def passes(self) -> tuple[Work, ...]:
        """All of them."""
        return self.before + self.steps


@dataclass(frozen=True)
class TokenSequence:
    """An observation as a token network made it out.

    Attributes:
        shape: What stands where.
        prefill: What runs before the first denoising step.
        reading: The part of it that is not the trunk's: images.
    """

    shape: SequenceShape
    prefill: Work
    reading: Work

    @classmethod
    @torch.no_grad()
    def of(cls, policy: Any, observation: Observation, weight_bytes: float | None = None) -> "TokenSequence":
        """Count one observation of a `TokenPolicy`; `weight_bytes` as in `SequenceShape`."""
        network, contexts = policy.network, []
        inputs = network.prepare(observation)
        nothing = np.zeros((0, len(policy.spec.action_names)), dtype=np.float32)
        counted = counted_work(
            lambda: contexts.append(network.prefill(inputs, nothing)), leave_out=trunk_of(network.model)
        )
        shape = sequence_shape(network, contexts[0], weight_bytes)
        prefix = Work()
        if shape.settled:
            prefix = prefill_work(shape.trunk, shape.settled, shape.number_bytes, weight_bytes)
        reading = Work(counted.nbytes, max(0.0, counted.flop - prefix.flop))
        return cls(shape, Work(counted.nbytes + prefix.nbytes, counted.flop), reading)

    def chunk(self, plan: CachePlan, nfe: int) -> ChunkWork:
        """With a plan, in so many denoising steps."""
        return ChunkWork((self.prefill,), tuple(chunk_work(self.shape, plan, nfe)))

    def published(self, nfe: int) -> ChunkWork:
        """The published way."""
        return ChunkWork((self.reading,), tuple(published_step_work(self.shape) for _ in range(nfe)))


@dataclass(frozen=True)
class ReasoningSequence:
    """A chunk of a policy that reasons.

    Attributes:
        work: Its passes.
        words: How often the trunk was run for a word.
    """

    work: ChunkWork
    words: int

    @classmethod
    @torch.no_grad()
    def of(cls, policy: Any, observation: Observation, weight_bytes: float | None = None) -> "ReasoningSequence":
        """Ask a `DiffusionPolicy` once and count what it did; `weight_bytes` as in `SequenceShape`."""
        network, calls = policy.network, [0]
        hook = network.policy_head.register_forward_hook(lambda *_: calls.append(1))
        try:
            prediction = policy.predict(observation, seed=0)
        finally:
            hook.remove()
        steps = sum(calls)
        words = prediction.nfe - steps
        before, step = _reasoning_parts(network, observation, prediction.actions.shape, words, weight_bytes)
        return cls(ChunkWork(before, (step,) * steps), words)


def _reasoning_parts(
    network: Any, observation: Observation, chunk: tuple[int, ...], words: int, weight_bytes: float | None
) -> tuple[tuple[Work, ...], Work]:
    """Prompt and words, and one denoising step."""
    trunk, prompts = trunk_of(network.model), []
    size, inputs = number_bytes(trunk), network.prepare(observation)
    counted = counted_work(lambda: prompts.append(network.prefill(inputs)), leave_out=trunk)
    head = _denoising_step(network.policy_head, network.condition(prompts[0], None, inputs), chunk)
    length, config = prompts[0].hidden.shape[1], trunk.config
    read = counted + Work(pass_work(config, length, length, size, weight_bytes=weight_bytes).nbytes)
    if not network.longest_answer:
        return (read,), head
    word = head_work(config.width, _vocabulary(network.model), 1, size)
    said = (pass_work(config, 1, length + 1 + index, size, weight_bytes=weight_bytes) for index in range(words))
    return (read, word, *(each + word for each in said)), head


def _denoising_step(head: nn.Module, condition: torch.Tensor, chunk: tuple[int, ...]) -> Work:
    noisy = condition.new_zeros(1, *chunk)
    timestep = torch.zeros(1, dtype=torch.int64, device=condition.device)
    return counted_work(lambda: head(noisy, timestep, condition))


def _vocabulary(model: nn.Module) -> int:
    """Rows of the table of words: the largest embedding."""
    return max(module.num_embeddings for module in model.modules() if isinstance(module, nn.Embedding))
