"""What is needed is decided first by decoders that choose an order, so that decoding may end early."""

import pytest
import torch
from oracles import action_canvas, random_network

from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.registry import make_decoder
from dvla_ros.denoising.sampling import others_last

ROWS, COLUMNS, VOCABULARY = 8, 7, 16
CANVAS = action_canvas(ROWS, COLUMNS, VOCABULARY)


@pytest.mark.parametrize(
    ("decoder", "settings", "nfe"),
    [
        ("masked", {"num_steps": 12}, 7),
        ("masked", {"num_steps": 8, "schedule": "even"}, 3),
        ("hierarchical", {}, 6),
        ("threshold", {"num_steps": 8, "threshold": 1.0}, 3),
        ("threshold", {"num_steps": 8, "accept": "factor", "factor": 0.0}, 3),
        ("credit", {"num_steps": 8, "threshold": 1.0}, 3),
        ("stopping", {"num_steps": 8, "threshold": 1.0}, 3),
        ("autoregressive", {}, 21),
    ],
)
@pytest.mark.parametrize("start", [0, 1])
def test_rows_that_are_needed_come_first(decoder, settings, nfe, start):
    needed = torch.zeros(CANVAS.length, dtype=torch.bool)
    needed[: 3 * COLUMNS] = True

    result = denoise(
        random_network(VOCABULARY, start),
        CANVAS,
        make_decoder({"decoder": decoder, **settings}),
        seeds=(start,),
        needed=needed,
    )

    assert result.nfe == nfe
    for step in result.trace[:-1]:
        assert not step.committed[:, ~needed].any()
    assert not result.filled[:, needed].any() and result.filled[:, ~needed].any()


def test_without_a_need_scores_stay_as_they_are():
    score = torch.randn(2, 5)
    assert others_last(score, None) is score


def test_the_order_among_the_needed_and_among_the_others_stays():
    score = torch.tensor([[-40.0, 3.0, -1.0, 0.5]])
    ranked = others_last(score, torch.tensor([True, False, True, False]))
    assert ranked.argsort(descending=True).tolist() == [[2, 0, 1, 3]]
