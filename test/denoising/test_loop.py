"""The loop: deadline, trace, and answers it must refuse."""

import pytest
import torch
from oracles import action_canvas, peaked_on, random_network, seeded

from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.masked import MaskedConfig, MaskedDenoiser
from dvla_ros.errors import ActionError

CANVAS = action_canvas()


class SlowNetwork:
    """Takes one second of its own clock per call."""

    def __init__(self) -> None:
        self.now = 100.0
        self.network = random_network(CANVAS.vocabulary, 0)
        self.last_logits = torch.empty(0)

    def __call__(self, tokens):
        self.now += 1.0
        self.last_logits = self.network(tokens)
        return self.last_logits


def run(network, **kwargs):
    return denoise(network, CANVAS, MaskedDenoiser(MaskedConfig()), batch_size=2, generator=seeded(), **kwargs)


@pytest.mark.parametrize(("deadline_s", "nfe"), [(0.0, 1), (2.5, 3), (3.0, 3), (100.0, 12), (None, 12)])
def test_no_step_starts_after_the_deadline_and_the_first_always_runs(deadline_s, nfe):
    slow = SlowNetwork()
    assert run(slow, deadline_s=deadline_s, clock=lambda: slow.now).nfe == nfe


def test_a_chunk_cut_short_is_completed_with_the_arg_max_and_marked():
    slow = SlowNetwork()
    result = run(slow, deadline_s=5.0, clock=lambda: slow.now)

    still_masked = result.trace[-1].tokens == CANVAS.mask_token
    assert still_masked.sum(dim=1).tolist() == [44, 44]
    assert torch.equal(result.filled, still_masked)
    assert torch.equal(result.tokens[still_masked], slow.last_logits.argmax(-1)[still_masked])
    assert torch.equal(result.tokens[~still_masked], result.trace[-1].tokens[~still_masked])
    assert (result.tokens < CANVAS.mask_token).all()
    assert (result.confidence > 0).all()


def test_a_deadline_does_not_touch_frozen_tokens():
    slow = SlowNetwork()
    frozen = CANVAS.freeze_leading("action", torch.full((2, 2, 7), 5))
    result = run(slow, deadline_s=1.0, clock=lambda: slow.now, frozen_tokens=frozen)
    assert (result.tokens[:, :14] == 5).all()
    assert not result.filled[:, :14].any()


def test_the_trace_is_kept_only_when_asked_for():
    network = random_network(CANVAS.vocabulary, 0)
    assert len(run(network).trace) == 12
    assert run(network, keep_trace=False).trace == ()


def test_the_network_sees_the_mask_token_where_nothing_is_decided():
    seen = []

    def network(tokens):
        seen.append(tokens.clone())
        return peaked_on(torch.zeros_like(tokens), CANVAS.vocabulary)(tokens)

    run(network)
    assert (seen[0] == CANVAS.vocabulary).all()
    assert [int((tokens[0] == CANVAS.vocabulary).sum()) for tokens in seen[1:4]] == [55, 54, 51]


def test_logits_of_another_shape_are_refused():
    with pytest.raises(ActionError, match=r"\[2, 56, 16\], got \[2, 56, 17\]"):
        run(lambda tokens: torch.zeros(2, 56, 17))


def test_nan_logits_are_refused():
    with pytest.raises(ActionError, match="NaN"):
        run(lambda tokens: torch.full((2, 56, 16), torch.nan))


def test_half_precision_logits_are_scored_in_single_precision():
    logits = torch.randn(2, 56, 16, generator=seeded(1)).bfloat16()
    halved, single = run(lambda tokens: logits), run(lambda tokens: logits.float())
    assert torch.equal(halved.tokens, single.tokens)
    assert torch.equal(halved.confidence, single.confidence)
