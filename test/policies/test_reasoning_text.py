"""Sentences become tokens and come back word by word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.policies.reasoning_text import IGNORED, ReasoningTokenizer

SENTENCES = ["the red cube is below; the gripper is open. next: go down.", "holding the red cube. next: lift it."]


@pytest.fixture
def tokenizer():
    return ReasoningTokenizer.fit(SENTENCES)


def test_an_answer_ends_with_next_action_and_the_end(tokenizer):
    answer = tokenizer.encode(["holding it."], 6)
    next_action, end = answer[0, 2:4]
    assert answer[0, 4:].tolist() == [IGNORED, IGNORED]
    assert end == tokenizer.end and tokenizer.decode([next_action]) == ""
    assert tokenizer._tokenizer.id_to_token(next_action) == "Next action:"


def test_the_longest_answer_tells_the_length(tokenizer):
    assert tokenizer.length(SENTENCES) == 12 + 2
    assert (tokenizer.encode(SENTENCES, 14)[0] != IGNORED).all()


@given(words=st.lists(st.sampled_from(" ".join(SENTENCES).split()), min_size=1, max_size=12))
def test_decoding_is_the_inverse_of_encoding(words):
    tokenizer, sentence = ReasoningTokenizer.fit(SENTENCES), " ".join(words)
    ids = [int(i) for i in tokenizer.encode([sentence], 14)[0] if i != IGNORED]
    assert tokenizer.decode(ids) == sentence


def test_what_follows_the_end_is_not_read(tokenizer):
    ids = tokenizer.encode(["holding it."], 4)[0].tolist()
    assert tokenizer.decode([*ids, *ids]) == "holding it."


def test_an_answer_that_was_broken_off_is_read_as_far_as_it_goes(tokenizer):
    assert tokenizer.decode(tokenizer.encode(["holding the red cube."], 6)[0, :3].tolist()) == "holding the red"


def test_the_words_do_not_depend_on_the_order_or_number_of_sentences(tokenizer):
    again = ReasoningTokenizer.fit([*reversed(SENTENCES), *SENTENCES])
    assert (again.encode(SENTENCES, 14) == tokenizer.encode(SENTENCES, 14)).all()


def test_a_saved_tokenizer_is_found_again(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    again = ReasoningTokenizer.load(tmp_path)
    assert (again.encode(SENTENCES, 14) == tokenizer.encode(SENTENCES, 14)).all()
    assert again.vocabulary == tokenizer.vocabulary == 4 + len(set(" ".join(SENTENCES).split()))


def test_an_unknown_word_is_refused(tokenizer):
    with pytest.raises(ConfigurationError, match="'holding a cup.' has words"):
        tokenizer.encode(["holding a cup."], 14)


def test_a_sentence_that_is_too_long_is_refused(tokenizer):
    with pytest.raises(ConfigurationError, match="is 14 tokens long, more than 13"):
        tokenizer.encode(SENTENCES, 13)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"reasoning/tokenizer\.json"):
        ReasoningTokenizer.load(tmp_path)
