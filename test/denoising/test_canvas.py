"""Which positions a canvas has, and which of them are given."""

from dataclasses import replace

import pytest
import torch

from dvla_ros.denoising.canvas import FREE, Canvas, Segment
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.masked import MaskedConfig, MaskedDenoiser
from dvla_ros.errors import ActionError, ConfigurationError

CPU = torch.device("cpu")


def make_canvas() -> Canvas:
    return Canvas((Segment("head", 1, 2, 10, prefilled=(7, FREE)), Segment("action", 3, 2, 10)))


def test_an_empty_canvas_is_masked_but_for_the_prefilled_positions():
    tokens, fixed = make_canvas().initial(2, None, CPU)

    assert tokens.tolist() == [[7] + [10] * 7] * 2
    assert fixed.tolist() == [[True] + [False] * 7] * 2
    assert make_canvas().free_length == 7


def test_leading_rows_freeze_the_first_positions_of_their_segment():
    canvas = make_canvas()
    frozen = canvas.freeze_leading("action", torch.tensor([[[1, 2], [3, 4]]]))

    assert frozen.tolist() == [[FREE, FREE, 1, 2, 3, 4, FREE, FREE]]
    assert canvas.initial(1, frozen, CPU)[0].tolist() == [[7, 10, 1, 2, 3, 4, 10, 10]]


def test_no_leading_rows_freeze_nothing():
    assert make_canvas().freeze_leading("action", torch.zeros(1, 0, 2, dtype=torch.int64)).eq(FREE).all()


@pytest.mark.parametrize("shape", [(1, 4, 2), (1, 2, 3), (2, 2)])
def test_leading_rows_of_another_shape_are_refused(shape):
    with pytest.raises(ActionError, match="Frozen rows for 'action'"):
        make_canvas().freeze_leading("action", torch.zeros(shape, dtype=torch.int64))


@pytest.mark.parametrize("token", [10, -2])
def test_frozen_ids_outside_the_vocabulary_are_refused(token):
    with pytest.raises(ActionError, match=r"0\.\.9"):
        make_canvas().initial(1, torch.full((1, 8), token), CPU)


def test_frozen_tokens_of_another_length_are_refused():
    with pytest.raises(ActionError, match=r"\[1, 8\], got \[1, 7\]"):
        make_canvas().initial(1, torch.full((1, 7), FREE), CPU)


def test_frozen_tokens_that_contradict_the_prefilled_ones_are_refused():
    frozen = torch.full((1, 8), FREE)
    frozen[0, 0] = 3
    with pytest.raises(ActionError, match="prefilled"):
        make_canvas().initial(1, frozen, CPU)


def test_each_segment_has_its_own_vocabulary_and_all_share_one_mask():
    canvas = Canvas((Segment("image", 1, 1, 3), Segment("action", 1, 2, 2)))

    assert (canvas.vocabulary, canvas.mask_token, canvas.one_vocabulary) == (3, 3, False)
    assert canvas.vocabularies().tolist() == [3, 2, 2]
    assert canvas.allowed().tolist() == [[True] * 3, [True, True, False], [True, True, False]]
    assert canvas.initial(1, None, CPU)[0].tolist() == [[3, 3, 3]]


def test_frozen_ids_of_another_segments_vocabulary_are_refused():
    canvas = Canvas((Segment("image", 1, 1, 3), Segment("action", 1, 2, 2)))
    with pytest.raises(ActionError, match=r"Frozen tokens of 'action' must be 0\.\.1"):
        canvas.initial(1, torch.tensor([[2, 2, 0]]), CPU)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Segment("a", 0, 1, 10), "steps=0"),
        (lambda: Segment("a", 1, 1, 1), "vocabulary=1"),
        (lambda: Segment("a", 1, 2, 10, prefilled=(1,)), "1 prefilled ids"),
        (lambda: Segment("a", 1, 2, 10, prefilled=(1, 10)), r"\[10\]"),
        (lambda: Canvas(()), "segments"),
        (lambda: Canvas((Segment("a", 1, 1, 10), Segment("a", 1, 1, 10))), "different names"),
        (lambda: make_canvas().span("image"), "no segment 'image'"),
    ],
)
def test_malformed_canvases_are_refused_with_the_wrong_value(build, message):
    with pytest.raises(ConfigurationError, match=message):
        build()


def test_reserved_ids_stand_where_they_are_prefilled_and_are_never_chosen():
    canvas = Canvas((Segment("action", 1, 4, vocabulary=6, prefilled=(5, FREE, FREE, FREE), reserved=1),))
    assert not canvas.one_vocabulary and canvas.vocabularies().tolist() == [5, 5, 5, 5]
    assert canvas.allowed().tolist() == [[True] * 5 + [False]] * 4
    tokens, fixed = canvas.initial(1, None, torch.device("cpu"))
    assert tokens.tolist() == [[5, 6, 6, 6]] and fixed.tolist() == [[True, False, False, False]]


def test_a_reserved_id_that_every_logit_favours_is_not_chosen():
    canvas = Canvas((Segment("action", 1, 4, vocabulary=6, prefilled=(5, FREE, FREE, FREE), reserved=1),))
    logits = torch.zeros(1, 4, 6).index_fill(2, torch.tensor([5]), 50.0)
    result = denoise(lambda tokens: logits, canvas, MaskedDenoiser(MaskedConfig()), seeds=[0])
    assert result.tokens[0, 0] == 5 and result.tokens[0, 1:].max() < 5


@pytest.mark.parametrize("reserved", [-1, 6])
def test_too_many_reserved_ids_are_refused(reserved):
    with pytest.raises(ConfigurationError, match=f"reserves {reserved} of 6 ids"):
        Segment("action", 1, 4, vocabulary=6, reserved=reserved)


@pytest.mark.parametrize(
    ("unknown", "determined", "expected"),
    [(7, 0, 12), (5, 0, 8), (7, 2, 8), (7, 7, 1), (5, 3, 3), (2, 5, 1), (0, 0, 1)],
)
def test_steps_fall_with_what_is_known_by_tokens_or_by_other_means(unknown, determined, expected):
    canvas = replace(make_canvas(), determined=determined)
    assert canvas.steps(12, unknown) == expected


@pytest.mark.parametrize("determined", [-1, 8])
def test_no_more_can_be_determined_than_is_free(determined):
    with pytest.raises(ConfigurationError, match=rf"in 0\.\.7, got {determined}"):
        replace(make_canvas(), determined=determined)
