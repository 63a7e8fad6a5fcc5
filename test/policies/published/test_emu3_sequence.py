"""What stands where in the sequences of UD-VLA and DFM-VLA, and which ids it has."""

import torch

from dvla_ros.denoising.schedules import masked_counts, schedule_named
from dvla_ros.policies.published.emu3_sequence import Emu3Sequence, Grid

STATIC, WRIST = Grid("static", 25, 25), Grid("wrist", 10, 10)
UD = Emu3Sequence((STATIC, WRIST), fast_ids=1024, imagines=True)
DFM = Emu3Sequence((STATIC, WRIST), fast_ids=1024, imagines=False)
MASK, BOA, EOA, BOI, EOI, IMG, EOF = 151848, 151844, 151845, 151852, 151853, 151851, 151847


def test_an_image_is_framed_as_published():
    codes = torch.arange(625).reshape(1, 25, 25)
    ids = STATIC.segment_ids(codes)[0].tolist()
    assert len(ids) == STATIC.length == 636
    assert ids[:9] == [BOI, 16, 9, 17, 20, 9, 17, 20, IMG]
    assert ids[9:634] == [151854 + i for i in range(625)]
    assert ids[634:] == [EOF, EOI]
    assert ids[STATIC.codes] == ids[9:634]


def test_lengths_are_those_of_calvin():
    assert (STATIC.length, WRIST.length, UD.images_length) == (636, 111, 747)
    assert UD.canvas.length == 817 and UD.canvas.free_length == 812
    assert UD.length(text=10) == 10 + 747 + 817
    assert [segment.length for segment in UD.canvas.segments] == [636, 111, 70]
    assert [segment.name for segment in UD.canvas.segments] == ["image_static", "image_wrist", "action"]


def test_the_schedule_over_the_canvas_is_the_released_one():
    counts = masked_counts(UD.canvas.free_length, 72, schedule_named("cosine"), UD.canvas.length)
    assert counts[:10] == [811, 810, 809, 808, 807, 806, 805, 804, 801, 797]


def test_only_the_frames_of_images_and_boa_are_prefilled():
    tokens, fixed = UD.canvas.initial(1, None, torch.device("cpu"))
    table = UD.emu3_ids()
    ids = [
        table[row, tokens[0, UD.canvas.span(segment.name)]].tolist() for row, segment in enumerate(UD.canvas.segments)
    ]
    for image, grid in zip(ids, UD.grids, strict=False):
        assert image == [BOI, *[MASK] * (grid.length - 2), EOI]
    assert ids[-1] == [BOA, *[MASK] * 69]
    assert int(fixed.sum()) == 5


def test_a_fast_id_counts_down_from_the_end_of_the_text():
    own = UD.emu3_ids()[-1]
    assert own[:3].tolist() == [151642, 151641, 151640]
    assert own[1023].item() == 151642 - 1023 == 150619, "150618, which the released code allows, is no FAST id"
    assert (UD.eoa, own[1024].item(), own[1025].item()) == (1024, EOA, BOA)
    assert set(own[1026:].tolist()) == {MASK}
    action = UD.canvas.segments[-1]
    assert (action.choices, action.vocabulary) == (1025, 1026)


def test_an_image_may_hold_codes_and_what_the_released_code_allows():
    segment = UD.canvas.segments[0]
    allowed = UD.emu3_ids()[0, : segment.choices].tolist()
    assert allowed[:32768] == list(range(151854, 184622))
    assert sorted(allowed[32768:]) == [9, 15, 16, 17, 20, EOF, IMG]
    assert UD.emu3_ids()[0, segment.choices : segment.vocabulary].tolist() == [BOI, EOI]


def test_digits_of_other_sizes_may_be_written_too():
    wide = Emu3Sequence((Grid("front", 16, 34),), fast_ids=9, imagines=True)
    assert {18, 19, 21} <= set(wide.image_ids), "3, 4 and 6"


def test_action_logits_are_in_the_order_of_fast_ids():
    sequence = Emu3Sequence((WRIST,), fast_ids=4, imagines=True)
    scores = torch.tensor([float(row) for row in sequence.action_rows.ids])
    assert sequence.action_logits(scores).tolist() == [151642, 151641, 151640, 151639, EOA]
    assert len(sequence.action_rows.runs) == 2, "one multiplication for FAST, one for EOA"
    assert sequence.action_ids == (151642, 151641, 151640, 151639, EOA)


def test_dfm_vla_decodes_actions_alone_and_boa_is_its_prompt():
    assert DFM.canvas.length == 69 and DFM.canvas.one_vocabulary
    assert DFM.canvas.vocabulary == 1025
    assert DFM.prompt_length(text=10) == 10 + 747 + 1
    assert DFM.canvas.free_length == 69
    assert DFM.emu3_ids().tolist() == [[*range(151642, 151642 - 1024, -1), EOA, MASK]]


def test_blocks_cover_the_sequence_and_rise_from_text_to_action():
    for sequence in (UD, DFM):
        blocks = sequence.blocks(text=10)
        assert sum(block.length for block in blocks) == sequence.length(text=10)
        assert [block.causal for block in blocks] == [True, *[False] * (len(blocks) - 1)]
        levels = [block.level for block in blocks]
        assert levels == sorted(levels)
    assert [block.level for block in UD.blocks(10)] == [0, 1, 1, 2, 2, 3]


def test_codes_are_read_where_they_belong_and_others_become_code_zero():
    canvas = torch.zeros(UD.canvas.length, dtype=torch.int64)
    image = canvas[UD.canvas.span("image_wrist")]
    image[WRIST.codes] = torch.arange(100) + 5
    image[WRIST.codes.start + 7] = 32770  # a digit in place of a code
    image[3] = 77  # a code in place of a digit
    codes = UD.codes_on_canvas(WRIST, canvas)
    assert codes.shape == (10, 10)
    assert codes.flatten().tolist() == [5, 6, 7, 8, 9, 10, 11, 0, *range(13, 105)]
