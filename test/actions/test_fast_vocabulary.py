"""FAST ids in the vocabularies of Emu3 and PaliGemma."""

import pytest

from dvla_ros.actions.fast_vocabulary import FastVocabulary
from dvla_ros.errors import ActionError


def test_emu3_counts_down_from_the_last_text_token():
    emu3 = FastVocabulary.emu3()
    assert emu3.to_vocabulary([0, 902, 1023]).tolist() == [151642, 150740, 150619]
    assert emu3.from_vocabulary([[151642], [150740]]).tolist() == [[0], [902]]


def test_the_released_range_is_one_token_too_long():
    emu3 = FastVocabulary.emu3()
    assert (emu3.tokens[0], emu3.tokens[-1], len(emu3.tokens)) == (150619, 151642, 1024)
    assert (emu3.released_tokens[0], emu3.released_tokens[-1], len(emu3.released_tokens)) == (150618, 151642, 1025)


def test_the_token_too_many_is_flagged_when_decoded(calvin):
    emu3 = FastVocabulary.emu3()
    decoded = calvin.decode(emu3.from_vocabulary([*emu3.to_vocabulary([439]), 150618]).tolist())
    assert not decoded.usable
    assert decoded.reason == "id 1024 is outside 0..1023"


def test_paligemma_leaves_its_last_128_tokens_alone():
    assert FastVocabulary.paligemma(257152).to_vocabulary([0, 2047]).tolist() == [257023, 254976]


@pytest.mark.parametrize("fast_id", [-1, 1024])
def test_ids_that_do_not_exist_are_refused(fast_id):
    with pytest.raises(ActionError, match=r"0\.\.1023"):
        FastVocabulary.emu3().to_vocabulary([0, fast_id])
