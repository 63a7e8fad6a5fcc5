"""The passes of a policy's chunk."""

from pathlib import Path

import torch

from dvla_ros.engine.cache_plan import CachePlan
from dvla_ros.evaluation.decode.chunk_floor import ReasoningSequence, TokenSequence
from dvla_ros.evaluation.decode.made_up import made_up_observation
from dvla_ros.evaluation.decode.trunk_work import prefill_work
from dvla_ros.policies.load import load_policy

CHECKPOINTS = Path(__file__).parents[3] / "checkpoints"


def test_a_token_policy_has_a_prefill_and_its_steps():
    policy = load_policy(CHECKPOINTS / "widowx_dd_vla_small")
    sequence = TokenSequence.of(policy, made_up_observation(policy.spec))
    shape, config = sequence.shape, policy.network.model.config
    assert (shape.prefix, shape.settled, shape.run) == (config.prefix_length, config.prefix_length, 56)
    prefix = prefill_work(shape.trunk, shape.prefix, 4)
    assert sequence.prefill.flop > prefix.flop and sequence.prefill.nbytes > prefix.nbytes
    assert sequence.reading.flop == sequence.prefill.flop - prefix.flop
    chunk = sequence.chunk(CachePlan(), 12)
    assert len(chunk.steps) == 12 and len(chunk.passes) == 13


def test_a_reasoning_policy_has_a_pass_for_each_word_and_each_denoising_step():
    policy = load_policy(CHECKPOINTS / "widowx_diffusion_vla_small")
    observation = made_up_observation(policy.spec)
    sequence = ReasoningSequence.of(policy, observation)
    prediction = policy.predict(observation, seed=0)
    assert sequence.words + len(sequence.work.steps) == prediction.nfe
    assert len(sequence.work.steps) == 10
    assert len(sequence.work.before) == 2 + sequence.words  # prompt, first word, words behind it
    head = sum(p.nbytes for p in policy.network.policy_head.parameters())
    assert 0 < sequence.work.steps[0].nbytes <= head


def test_counting_leaves_no_hooks_behind():
    policy = load_policy(CHECKPOINTS / "widowx_diffusion_vla_small")
    ReasoningSequence.of(policy, made_up_observation(policy.spec))
    assert not policy.network.policy_head._forward_hooks
    assert not torch.nn.modules.module._global_forward_hooks
