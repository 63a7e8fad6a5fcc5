"""The baseline gives the same logits and tokens as the network that it wraps."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dvla_ros.engine.cache_plan import CachePlan
from dvla_ros.evaluation.decode.made_up import made_up_observation
from dvla_ros.evaluation.decode.published_way import PublishedWay, WholeHead
from dvla_ros.evaluation.decode.random_weights import fresh_layout, open_layout
from dvla_ros.models.head import SlicedHead, TokenRows
from dvla_ros.policies.load import load_policy
from dvla_ros.policies.published.deployment import Deployment

CHECKPOINTS = Path(__file__).parents[3] / "checkpoints"
CPU = torch.device("cpu")


def logits_both_ways(policy):
    """Logits of a half-decided canvas, as the network gives them and as the baseline does."""
    observation, canvas = made_up_observation(policy.spec), policy.network.canvas
    tokens, _ = canvas.initial(1, None, CPU)
    free = tokens == canvas.mask_token
    free[:, ::2] = False
    tokens = torch.where(free, 3, tokens)
    answers = []
    for network in (policy.network, PublishedWay(policy.network)):
        with torch.no_grad():
            context = network.prefill(network.prepare(observation), np.zeros((0, 7), np.float32))
            answer = network.logits(context, tokens)
        answers.append(getattr(answer, "logits", answer))
    return answers


def assert_alike(policy):
    own, published = logits_both_ways(policy)
    known = torch.isfinite(own)
    assert torch.equal(known, torch.isfinite(published))
    assert float((own - published)[known].abs().max()) <= 1e-4 * max(1.0, float(own[known].abs().max()))


@pytest.mark.parametrize(
    ("system", "attention"),
    [
        ("dd_vla", "full"),
        ("dd_vla", "block_causal"),
        ("llada_vla", "full"),
        ("llada_vla", "block_causal"),
        ("dfm_vla", "full"),
        ("dfm_vla", "block_causal"),
        ("dfm_vla", "image_causal_first"),
        ("ud_vla", "merged"),
        ("ud_vla", "block_causal"),
    ],
)
def test_published_layouts_answer_alike(system, attention):
    of_emu3 = {"cameras": ("front",), "image_sizes": ((80, 80),)} if system in ("ud_vla", "dfm_vla") else {}
    deployment = Deployment(system="dfm_vla" if system == "dfm_vla" else "", attention=attention, **of_emu3)
    with fresh_layout(system, "small") as folder:
        assert_alike(open_layout(folder, deployment, CPU, torch.float32, draw=False))


@pytest.mark.parametrize("system", ["dd_vla", "ud_vla", "llada_vla", "dfm_vla"])
def test_shipped_policies_answer_alike(system):
    assert_alike(load_policy(CHECKPOINTS / f"widowx_{system}_small"))


def test_a_chunk_has_the_same_tokens_and_as_many_evaluations():
    policy = load_policy(CHECKPOINTS / "widowx_dd_vla_small")
    observation = made_up_observation(policy.spec)
    own = policy.predict(observation, seed=3)
    policy.network = PublishedWay(policy.network)
    published = policy.predict(observation, seed=3)
    np.testing.assert_array_equal(own.tokens, published.tokens)
    assert own.nfe == published.nfe


def test_the_baseline_is_exact_whatever_the_network_was_set_to():
    policy = load_policy(CHECKPOINTS / "widowx_dd_vla_small", cache="dllm:9,9,0.25")
    assert policy.network.cache == CachePlan("dllm", 9, 9, 0.25)
    PublishedWay(policy.network).prefill(
        policy.network.prepare(made_up_observation(policy.spec)), np.zeros((0, 7), np.float32)
    )
    assert policy.network.cache == CachePlan()


def test_a_whole_head_gives_the_rows_that_a_sliced_one_gives():
    head = SlicedHead(torch.nn.Parameter(torch.randn(40, 6)))
    hidden, rows = torch.randn(2, 3, 6), TokenRows.of(range(30, 35), 2)
    torch.testing.assert_close(WholeHead(head)(hidden, rows), head(hidden, rows))
