"""The loop: deadline, trace, and answers it must refuse."""

import pytest
import torch
from oracles import action_canvas, peaked_on, random_network, seeded
from torch.utils._python_dispatch import TorchDispatchMode

from dvla_ros.denoising.canvas import Canvas, Segment
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.masked import MaskedConfig, MaskedDenoiser
from dvla_ros.denoising.state import Scores
from dvla_ros.denoising.threshold import ThresholdConfig, ThresholdDenoiser
from dvla_ros.errors import ActionError, ConfigurationError

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
    return denoise(network, CANVAS, MaskedDenoiser(MaskedConfig()), seeds=(0, 1), **kwargs)


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


@pytest.mark.parametrize(("finish_early", "nfe"), [(True, 1), (False, 12)])
def test_decoding_finishes_early_when_nothing_is_undecided_unless_told_not_to(finish_early, nfe):
    answer = torch.randint(0, CANVAS.vocabulary, (2, CANVAS.length), generator=seeded(2))
    denoiser = ThresholdDenoiser(ThresholdConfig(num_steps=12))

    result = denoise(peaked_on(answer, CANVAS.vocabulary), CANVAS, denoiser, seeds=(0, 1), finish_early=finish_early)

    assert result.nfe == nfe
    assert torch.equal(result.tokens, answer)
    assert not result.filled.any()


def test_ids_beyond_a_segments_vocabulary_cannot_be_chosen():
    canvas = Canvas((Segment("image", 1, 2, 9), Segment("action", 2, 2, 3)))
    rising = torch.arange(9.0).expand(1, 6, 9)
    result = denoise(lambda tokens: rising, canvas, MaskedDenoiser(MaskedConfig(greedy=True)), seeds=(0,))
    assert result.tokens.tolist() == [[8, 8, 2, 2, 2, 2]]


def test_a_decoder_sees_rates_only_of_allowed_ids():
    canvas = Canvas((Segment("image", 1, 1, 4), Segment("action", 1, 1, 2)))
    seen = []

    class Spy(MaskedDenoiser):
        def step(self, index, state, scores, noise):
            seen.append(scores)
            return super().step(index, state, scores, noise)

    answer = Scores(torch.zeros(1, 2, 4), torch.ones(1, 2, 4))
    denoise(lambda tokens: answer, canvas, Spy(MaskedConfig()), seeds=(0,))

    assert seen[0].rates.tolist() == [[[1, 1, 1, 1], [1, 1, 0, 0]]]
    assert seen[0].logits.tolist() == [[[0, 0, 0, 0], [0, 0, -torch.inf, -torch.inf]]]


def test_a_batch_needs_a_seed():
    with pytest.raises(ActionError, match="seed"):
        denoise(random_network(16, 0), CANVAS, MaskedDenoiser(MaskedConfig()), seeds=())


def test_tokens_that_are_not_needed_are_filled_and_marked():
    slow = SlowNetwork()
    needed = torch.zeros(CANVAS.length, dtype=torch.bool)
    needed[:21] = True

    result = run(slow, needed=needed)

    assert result.nfe == 7  # the cosine schedule leaves 34 of 56 masked then, and 39 a step before
    assert not result.filled[:, :21].any()
    assert result.filled[:, 21:].sum(dim=1).tolist() == [34, 34]
    assert torch.equal(result.tokens[result.filled], slow.last_logits.argmax(-1)[result.filled])
    assert (result.tokens < CANVAS.mask_token).all()


def test_one_step_answers_where_nothing_is_needed():
    assert run(SlowNetwork(), needed=torch.zeros(CANVAS.length, dtype=torch.bool)).nfe == 1


@pytest.mark.parametrize("needed", [None, torch.arange(CANVAS.length) < 49])
def test_the_loop_asks_the_device_once_a_step(needed):
    network, reads = random_network(CANVAS.vocabulary, 0), []

    class CountReads(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            reads[-1] += func.overloadpacket.__name__ == "_local_scalar_dense"
            return func(*args, **(kwargs or {}))

    def watched(tokens):
        reads.append(0)
        return network(tokens)

    reads.append(0)
    with CountReads():
        result = run(watched, needed=needed)

    assert reads[2:-1] == [1] * (result.nfe - 2)  # between two calls of the network


@pytest.mark.parametrize(
    "needed", [torch.zeros(3, dtype=torch.bool), torch.zeros(CANVAS.length), torch.zeros(1, 56, dtype=torch.bool)]
)
def test_malformed_needed_positions_are_refused(needed):
    with pytest.raises(ActionError, match=r"Needed positions must be bool \[56\]"):
        run(random_network(CANVAS.vocabulary, 0), needed=needed)


def test_what_is_needed_cannot_end_a_loop_that_does_not_ask():
    with pytest.raises(ConfigurationError, match="finish early"):
        run(random_network(16, 0), needed=torch.ones(CANVAS.length, dtype=torch.bool), finish_early=False)
