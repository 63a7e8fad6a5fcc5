"""What the learners of the published token networks say: in a batch, alone, and as the policy asks them."""

import numpy as np
import pytest
import torch
from fine_tuned import opened

FAMILIES = [
    ("dd_vla", "full"),
    ("dd_vla", "block_causal"),
    ("llada_vla", "full"),
    ("dfm_vla", "block_causal"),
    ("ud_vla", "merged"),
]


@pytest.fixture(scope="module", params=FAMILIES, ids="-".join)
def family(request, checkpoint, deployment, recorded):
    """A system's checkpoint with one of its attentions."""
    system, attention = request.param
    return opened(checkpoint(system), deployment(system, attention=attention), recorded)


@torch.no_grad()
def test_a_batch_of_sentences_of_any_length_gets_what_each_would_get_alone(family):
    canvases = family.canvases(2)
    together = family.learner.logits(family.learner.prefix(family.batch(1, 3)), canvases)
    for row, (frame, logits) in enumerate(zip((1, 3), together, strict=True)):
        alone = family.learner.logits(family.learner.prefix(family.batch(frame)), canvases[row : row + 1])[0]
        torch.testing.assert_close(logits, alone, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_it_learns_the_numbers_that_the_policy_decodes(family):
    canvases = family.canvases(1)
    frame = family.examples._source.frame(1)
    context = family.network.prefill(family.network.prepare(frame.observation), np.zeros((0, 7), np.float32))
    asked = family.network.logits(context, canvases)
    learned = family.learner.logits(family.learner.prefix(family.batch(1)), canvases)
    torch.testing.assert_close(learned, asked, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_several_canvases_of_one_observation_share_its_prompt(family):
    canvases = family.canvases(2)
    shared = family.learner.logits(family.learner.prefix(family.batch(1), 2), canvases)
    twice = family.learner.logits(family.learner.prefix(family.batch(1, 1)), canvases)
    torch.testing.assert_close(shared, twice, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES[:4], indirect=True, ids="-".join)  # ud_vla has dfm_vla's trunk
def test_a_layer_that_is_run_again_gives_the_same_gradients(family):
    canvases, batch = family.canvases(1), family.batch(1)
    parameters = [p.requires_grad_(True) for p in family.learner.module.parameters()]
    (trunk,) = (m for m in family.learner.module.modules() if type(m).__name__ == "Trunk")
    gradients = []
    try:
        for trunk.checkpointing in (False, True):
            logits = family.learner.logits(family.learner.prefix(batch), canvases)
            logits.masked_fill(logits.isinf(), 0.0).square().mean().backward()
            gradients.append([None if p.grad is None else p.grad.clone() for p in parameters])
            family.learner.module.zero_grad()
    finally:
        trunk.checkpointing = False
        family.learner.module.requires_grad_(False)
    assert sum(gradient is not None for gradient in gradients[0]) > 20
    for plain, again in zip(*gradients, strict=True):
        assert (plain is None) == (again is None)
        assert plain is None or torch.allclose(plain, again, atol=1e-7, rtol=1e-5)
