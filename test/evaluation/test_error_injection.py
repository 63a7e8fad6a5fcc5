"""Errors appear exactly where and when they are put; which decoders repair them, on a network that knows the truth."""

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from dvla_ros.denoising.canvas import Canvas, Segment
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.registry import DECODERS, make_decoder
from dvla_ros.denoising.state import Scores
from dvla_ros.errors import ActionError, ConfigurationError
from dvla_ros.evaluation.error_injection import Corrupting, inject
from dvla_ros.evaluation.repair import count_repair, path_error_mm, summarise_repairs

VOCABULARY = 32
CANVAS = Canvas((Segment("action", 8, 7, VOCABULARY),))
TRUTH = torch.randint(0, VOCABULARY, (1, CANVAS.length), generator=torch.Generator().manual_seed(3))
SHARES = (0.05, 0.1, 0.2, 0.4)


DECOY = (TRUTH + 1) % VOCABULARY


def knowing(tokens):
    """Sure of the truth where the four nearest tokens are right, misled by wrong ones, and drawn to what it sees."""
    right = (tokens == TRUTH).float()
    wrong = (tokens != VOCABULARY).float() - right
    return (
        (1.0 + 1.5 * nearest(right)).unsqueeze(-1) * one_hot(TRUTH, VOCABULARY)
        + (1.5 * nearest(wrong)).unsqueeze(-1) * one_hot(DECOY, VOCABULARY)
        + 3.0 * one_hot(tokens, VOCABULARY + 1)[..., :VOCABULARY]
    )


def nearest(marked):
    """How many of the two positions before and the two after are marked, `[B, L]`."""
    return sum(marked.roll(distance, dims=-1) for distance in (-2, -1, 1, 2))


def masked(**settings):
    return make_decoder({"decoder": "masked", "greedy": True, "order": "max_confidence", **settings})


METHODS = {
    "plain": masked(),
    "released": masked(remask="released"),
    "paper": masked(remask="paper"),
    "paper_top": masked(remask="paper", remask_drop=None, remask_top=4),
    "autoregressive": make_decoder({"decoder": "autoregressive"}),
    "one_shot": make_decoder({"decoder": "one_shot"}),
    "flow": make_decoder({"decoder": "flow"}),
}


def injection(decoder, share, seed=0, at=0.5):
    clean = denoise(knowing, CANVAS, decoder, seeds=[seed])
    return inject(knowing, CANVAS, decoder, clean, seed=seed, share=share, at=at)


def share_repaired(decoder):
    """Over four seeds and four shares."""
    repaired = errors = 0
    for seed in range(4):
        clean = denoise(knowing, CANVAS, decoder, seeds=[seed])
        for share in SHARES:
            case = inject(knowing, CANVAS, decoder, clean, seed=seed, share=share)
            repaired += int((case.errors & (case.result == case.reference)).sum())
            errors += int(case.errors.sum())
    return repaired / errors


@pytest.fixture(scope="module")
def repaired():
    return {name: share_repaired(decoder) for name, decoder in METHODS.items()}


def test_a_decoder_that_never_looks_back_repairs_nothing(repaired):
    assert repaired["plain"] == repaired["autoregressive"] == repaired["one_shot"] == 0.0


def test_the_papers_remasking_repairs_most_errors(repaired):
    assert repaired["paper"] > 0.9
    assert repaired["paper_top"] > 0.9


def test_the_released_remasking_repairs_most_errors(repaired):
    assert repaired["released"] > 0.9


def test_flow_matching_repairs_most_errors(repaired):
    assert repaired["flow"] > 0.8


def test_an_unrepaired_error_stays_and_misleads_what_is_decoded_after_it():
    case = injection(METHODS["plain"], share=0.4)
    misled = case.open & (case.result != case.reference)
    assert torch.equal(case.result[case.errors], case.damaged[case.errors])
    assert torch.equal(case.result[case.settled], case.reference[case.settled])
    assert misled.any()
    assert torch.equal(case.result[misled], DECOY[0, misled])


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", ["plain", "paper", "flow"])
def test_so_many_right_tokens_become_wrong_ones_of_the_vocabulary(name, share):
    case = injection(METHODS[name], share)
    right = case.errors | case.settled
    assert int(case.errors.sum()) == max(1, round(share * int(right.sum())))
    assert torch.equal(case.damaged != case.reference, case.errors)
    assert 0 <= int(case.damaged.min()) and int(case.damaged.max()) < VOCABULARY
    assert torch.equal(right, ~case.open)


def test_other_tokens_are_drawn_evenly_from_the_positions_own_vocabulary():
    canvas = Canvas((Segment("image", 1, 400, 3), Segment("action", 1, 400, 5)))
    rows = torch.zeros(1, canvas.length, dtype=torch.int64)
    one_shot = METHODS["one_shot"]
    network = lambda tokens: torch.nn.functional.one_hot(rows, 5).float()  # noqa: E731
    clean = denoise(network, canvas, one_shot, seeds=[0])
    damaged = inject(network, canvas, one_shot, clean, seed=0, share=1.0).damaged
    assert torch.bincount(damaged[:400]).tolist() == pytest.approx([0, 200, 200], abs=40)
    assert torch.bincount(damaged[400:]).tolist() == pytest.approx([0, 100, 100, 100, 100], abs=40)


@pytest.mark.parametrize("name", sorted(DECODERS))
def test_no_error_changes_nothing_whatever_the_decoder(name):
    decoder = make_decoder({"decoder": name})
    clean = denoise(knowing, CANVAS, decoder, seeds=[5])
    nowhere = torch.zeros(1, CANVAS.length, dtype=torch.bool)
    same = denoise(knowing, CANVAS, Corrupting(decoder, 1, nowhere, TRUTH), seeds=[5])
    assert torch.equal(same.tokens, clean.tokens)
    assert same.nfe == clean.nfe


@pytest.mark.parametrize("name", sorted(DECODERS))
def test_the_network_meets_the_errors_right_after_their_step(name):
    decoder = make_decoder({"decoder": name})
    clean = denoise(knowing, CANVAS, decoder, seeds=[5])
    at_step = max(1, clean.nfe // 2)
    errors = clean.trace[at_step - 1].tokens == clean.tokens
    wrong = (clean.tokens + 1) % VOCABULARY
    seen = []

    def watched(tokens):
        seen.append(tokens)
        return knowing(tokens)

    disturbed = denoise(watched, CANVAS, Corrupting(decoder, at_step, errors, wrong), seeds=[5])

    for step in range(at_step):
        assert torch.equal(disturbed.trace[step].tokens, clean.trace[step].tokens)
    met = seen[at_step] if len(seen) > at_step else disturbed.tokens
    assert torch.equal(met, torch.where(errors, wrong, clean.trace[at_step - 1].tokens))


def test_joint_decoding_really_holds_the_errors():
    case = injection(make_decoder({"decoder": "joint", "greedy": True, "num_steps": 12}), share=0.4)
    assert (case.result[case.errors] == case.damaged[case.errors]).all()


def test_rates_of_the_network_reach_the_decoder():
    decoder = make_decoder({"decoder": "flow", "path": "head", "fine_steps": 4, "validate_steps": 1})
    nowhere = torch.zeros(1, CANVAS.length, dtype=torch.bool)

    def network(tokens):
        return Scores(knowing(tokens), knowing(tokens).exp())

    plain = denoise(network, CANVAS, decoder, seeds=[1])
    assert torch.equal(denoise(network, CANVAS, Corrupting(decoder, 2, nowhere, TRUTH), seeds=[1]).tokens, plain.tokens)


def test_masked_and_frozen_positions_take_no_error():
    everywhere = torch.ones(1, CANVAS.length, dtype=torch.bool)
    with pytest.raises(ActionError, match=r"after step 1 positions \[.*masked"):
        denoise(knowing, CANVAS, Corrupting(METHODS["plain"], 1, everywhere, TRUTH), seeds=[0])
    frozen = TRUTH.clone()
    frozen[:, 1:] = -1
    first = torch.zeros(1, CANVAS.length, dtype=torch.bool)
    first[:, 0] = True
    with pytest.raises(ActionError, match=r"positions \[0\] are frozen"):
        denoise(knowing, CANVAS, Corrupting(METHODS["plain"], 1, first, TRUTH), seeds=[0], frozen_tokens=frozen)


def test_impossible_settings_are_refused():
    clean = denoise(knowing, CANVAS, METHODS["plain"], seeds=[0])
    with pytest.raises(ConfigurationError, match="at_step=0"):
        Corrupting(METHODS["plain"], 0, clean.filled, clean.tokens)
    for wrong in ({"share": 1.2}, {"share": -0.1}, {"share": 0.1, "at": 2.0}):
        with pytest.raises(ConfigurationError, match=r"must be in 0\.\.1"):
            inject(knowing, CANVAS, METHODS["plain"], clean, seed=0, **wrong)
    untraced = denoise(knowing, CANVAS, METHODS["plain"], seeds=[0], keep_trace=False)
    with pytest.raises(ActionError, match="keep_trace"):
        inject(knowing, CANVAS, METHODS["plain"], untraced, seed=0, share=0.1)


def test_the_path_error_adds_up_the_moves():
    still = np.zeros((4, 7))
    one_off = still.copy()
    one_off[2, 0] = 0.01  # the gripper is 10 mm off from the third row on
    turned = still.copy()
    turned[:, 3:] = 1.0
    assert path_error_mm(one_off, still) == pytest.approx((0 + 0 + 10 + 10) / 4)
    assert path_error_mm(turned, still) == 0.0


def test_counts_add_up_and_lost_chunks_are_told():
    case = injection(METHODS["plain"], share=0.2)
    still = np.zeros((8, 7))
    lost = np.full((8, 7), np.nan)
    kept = count_repair(case, still, still + 0.01, still, expert=still)
    summary = summarise_repairs([kept, count_repair(case, still, still, lost, expert=still)])
    errors = int(case.errors.sum())
    assert kept.errors + kept.settled + kept.open == CANVAS.length
    assert (summary["errors"], summary["repaired"], summary["malformed"]) == (2 * errors, 0.0, 1)
    assert summary["damage_mm"] == pytest.approx(10 * np.sqrt(3) * 4.5 / 2)
    assert summary["error_mm"] == 0.0
    nothing = summarise_repairs([])
    assert np.isnan(nothing["repaired"]) and np.isnan(nothing["error_mm"])
