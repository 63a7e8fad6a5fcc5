"""Asking every few steps whether decoding is over changes how many steps run, and nothing else."""

import pytest
import torch
from no_host_sync import no_host_sync
from oracles import action_canvas, peaked_on, random_network, seeded

from dvla_ros.denoising.early_end import EarlyEnd
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.registry import make_decoder
from dvla_ros.denoising.state import DecodeState, Scores
from dvla_ros.errors import ConfigurationError

CANVAS = action_canvas()
DECODERS = [
    {"decoder": "masked", "num_steps": 8},
    {"decoder": "masked", "num_steps": 8, "remask": "paper", "remask_drop": None, "remask_top": 2},
    {"decoder": "threshold", "num_steps": 9, "threshold": 0.4},
    {"decoder": "threshold", "num_steps": 9, "accept": "entropy_bound", "entropy_bound": 2.0},
    {"decoder": "one_shot"},
    {"decoder": "jacobi", "num_steps": 7},
    {"decoder": "flow", "fine_steps": 6, "validate_steps": 1},
    {"decoder": "autoregressive", "tokens_per_step": 9},
]


def halfway_sure(rows):
    """A network that is sure of most positions, so that some decoders end early and others have something to choose."""
    answer = torch.randint(CANVAS.vocabulary, (rows, CANVAS.length), generator=seeded(3))
    sure, doubtful = peaked_on(answer, CANVAS.vocabulary, 9.0), random_network(CANVAS.vocabulary, 1)
    return lambda tokens: torch.cat([sure(tokens)[:, :40], doubtful(tokens)[:, 40:]], dim=1)


def needed_first():
    needed = torch.zeros(CANVAS.length, dtype=torch.bool)
    needed[:21] = True
    return needed


@pytest.mark.parametrize("settings", DECODERS, ids=lambda settings: ",".join(map(str, settings.values())))
@pytest.mark.parametrize("needed", [None, needed_first()], ids=["all", "some"])
def test_the_answer_is_that_of_asking_after_every_step(settings, needed):
    def run(ask_every):
        return denoise(
            halfway_sure(2), CANVAS, make_decoder(settings), seeds=(0, 1), needed=needed, ask_every=ask_every
        )

    expected = run(1)
    for ask_every in (2, 5, 100):
        found = run(ask_every)
        for field in ("tokens", "confidence", "filled"):
            assert torch.equal(getattr(found, field), getattr(expected, field)), field
        assert len(found.trace) == len(expected.trace) == expected.nfe
        assert expected.nfe <= found.nfe < expected.nfe + ask_every


def test_the_steps_behind_the_end_are_counted():
    answer = torch.zeros(2, CANVAS.length, dtype=torch.int64)
    threshold = make_decoder({"decoder": "threshold", "num_steps": 9})
    result = denoise(peaked_on(answer, CANVAS.vocabulary), CANVAS, threshold, seeds=(0, 1), ask_every=4)
    assert (result.nfe, len(result.trace)) == (4, 1)


def test_a_deadline_is_looked_at_after_every_step():
    now = [0.0]

    def network(tokens):
        now[0] += 1.0
        return random_network(CANVAS.vocabulary, 0)(tokens)

    masked = make_decoder({"decoder": "masked", "num_steps": 8})
    result = denoise(network, CANVAS, masked, seeds=(0,), deadline_s=2.5, ask_every=4, clock=lambda: now[0])
    assert result.nfe == 3 and result.filled.any()


def test_following_does_not_wait_for_the_device():
    tokens = torch.zeros(2, 5, dtype=torch.int64)
    flags = torch.ones(2, 5, dtype=torch.bool)
    state, scores = DecodeState(tokens, tokens.float(), flags, flags, 3), Scores(torch.zeros(2, 5, 4))
    end = EarlyEnd(flags[0], fills=True)
    with no_host_sync():
        for _ in range(3):
            end.follow(state, scores)
    assert not end.is_over()


def test_asking_never_is_refused():
    with pytest.raises(ConfigurationError, match="ask_every"):
        denoise(halfway_sure(1), CANVAS, make_decoder(DECODERS[0]), seeds=(0,), ask_every=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("settings", DECODERS, ids=lambda settings: ",".join(map(str, settings.values())))
def test_no_step_waits_for_the_gpu(settings):
    device, denoiser = torch.device("cuda"), make_decoder(settings)
    noise = Noise((0, 1), device)
    state = denoiser.start(CANVAS, noise=noise, frozen_tokens=None, warm_start=None, device=device)
    end = EarlyEnd(torch.ones(CANVAS.length, dtype=torch.bool, device=device), fills=True)
    scores = Scores(torch.randn(2, CANVAS.length, CANVAS.vocabulary, device=device))
    torch.cuda.set_sync_debug_mode("error")
    try:
        for index in range(state.num_steps):
            state, _ = denoiser.step(index, state, scores, noise)
            end.follow(state, scores)
    finally:
        torch.cuda.set_sync_debug_mode("default")
