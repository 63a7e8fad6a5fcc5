"""A guess that the network shares saves steps; one that it does not is dropped before it can do harm."""

import pytest
import torch
from oracles import action_canvas, peaked_on, random_network, seeded

from dvla_ros.denoising.canvas import FREE, WarmStart
from dvla_ros.denoising.guess_check import checked_guess
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.registry import make_decoder

VOCABULARY = 16
CANVAS = action_canvas(8, 7, VOCABULARY)
ANSWER = torch.randint(0, VOCABULARY, (1, CANVAS.length), generator=seeded(1))
SURE = torch.full((1, CANVAS.length), 0.95)

COMMITTING = {
    "masked": {"num_steps": 12},
    "joint": {"num_steps": 24},
    "hierarchical": {},
    "threshold": {"num_steps": 12, "threshold": 1.0},
    "autoregressive": {},
}
LOOKING_BACK = {"flow": {}, "jacobi": {}}


def run(decoder, guess, network=None, share=0.1, **settings):
    """Decode with a guess; decoders that look back need no check of it."""
    return denoise(
        network or peaked_on(ANSWER, VOCABULARY),
        CANVAS,
        make_decoder({"decoder": decoder, **{**COMMITTING, **LOOKING_BACK}[decoder], **settings}),
        seeds=(0,),
        warm_start=guess,
        guess_share=share if decoder in COMMITTING else None,
    )


@pytest.mark.parametrize("decoder", [*COMMITTING, *LOOKING_BACK])
def test_a_right_guess_comes_out_again_in_fewer_steps(decoder):
    cold, warm = run(decoder, None), run(decoder, WarmStart(ANSWER, SURE))
    assert torch.equal(warm.tokens, ANSWER)
    assert warm.nfe < cold.nfe


@pytest.mark.parametrize("decoder", [*COMMITTING, *LOOKING_BACK])
@pytest.mark.parametrize("wrong", [1.0, 0.5])
def test_a_wrong_guess_is_overcome(decoder, wrong):
    other = (ANSWER + 1) % VOCABULARY
    guess = torch.where(torch.rand(ANSWER.shape, generator=seeded(2)) < wrong, other, ANSWER)
    result = run(decoder, WarmStart(guess, SURE))
    assert torch.equal(result.tokens, ANSWER)
    assert result.nfe <= run(decoder, None).nfe


def test_the_check_of_a_guess_that_is_dropped_whole_is_the_first_step():
    asked = []

    def network(tokens):
        asked.append(tokens.clone())
        return peaked_on(ANSWER, VOCABULARY)(tokens)

    result = run("masked", WarmStart((ANSWER + 1) % VOCABULARY, SURE), network)

    assert result.nfe == len(asked) == len(result.trace) == 12


def test_the_check_of_a_guess_of_which_some_is_kept_counts():
    asked = []

    def network(tokens):
        asked.append(tokens.clone())
        return peaked_on(ANSWER, VOCABULARY)(tokens)

    result = run("masked", WarmStart(ANSWER, SURE), network)

    assert (asked[0] == CANVAS.mask_token).all()
    assert int((asked[1] != CANVAS.mask_token).sum()) == 28
    assert result.nfe == len(asked) == 7 and len(result.trace) == 6


def test_a_guess_is_dropped_below_its_share_of_the_likeliest_and_no_surer_than_the_network():
    logits = torch.log(torch.tensor([[[0.7, 0.2, 0.1], [0.7, 0.2, 0.1], [0.7, 0.2, 0.1], [0.7, 0.2, 0.1]]]))
    guess = WarmStart(torch.tensor([[0, 1, 2, FREE]]), torch.tensor([[0.5, 0.9, 0.9, 0.0]]))

    checked = checked_guess(guess, logits, 0.2)

    assert checked.tokens.tolist() == [[0, 1, FREE, FREE]]
    assert checked.confidence.tolist() == [[pytest.approx(0.5), pytest.approx(0.2), 0.0, 0.0]]


def test_without_a_check_the_network_is_not_asked_about_the_guess():
    network = random_network(VOCABULARY, 0)
    assert run("masked", WarmStart(ANSWER, SURE), network, share=None).nfe == 6
