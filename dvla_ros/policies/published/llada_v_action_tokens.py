"""Which rows of LLaDA-V's vocabulary stand for actions; LLaDA-VLA did not publish it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dvla_ros.actions.intervals import LLADA_FIRST_ROW
from dvla_ros.errors import CheckpointError
from dvla_ros.preprocessing.hf_tokenizer import HfTokenizer
from dvla_ros.preprocessing.llada_prompt import LLADA_IDS

BEGIN_KEY = "action_token_begin"
"""A key of ours in `config.json`: the first action token."""

PUBLISHED_ROWS = 126464
"""Rows of LLaDA-V's embedding; one with more was resized for the action tokens."""


@dataclass(frozen=True)
class ActionTokens:
    """What stands for actions in the vocabulary.

    Attributes:
        begin: Row of the first of the action tokens, which are neighbours.
        size: How many there are.
    """

    begin: int
    size: int

    @property
    def ids(self) -> range:
        """Their rows."""
        return range(self.begin, self.begin + self.size)


def action_tokens(config: Mapping[str, Any], rows: int, size: int, tokenizer: HfTokenizer) -> ActionTokens:
    """Where `config.json` says, the last rows of a resized embedding, or rows that LLaDA-V leaves unused.

    Args:
        config: Keys of `config.json`.
        rows: Of the embedding.
        size: How many action tokens there are.
        tokenizer: Of the checkpoint.

    Raises:
        CheckpointError: They are not in the vocabulary, or words or the chat's own tokens.
    """
    said = config.get(BEGIN_KEY)
    if said is not None and (isinstance(said, bool) or not isinstance(said, int)):
        raise CheckpointError(f"config.json: {BEGIN_KEY} must be a whole number, got {said!r}.")
    resized = rows > PUBLISHED_ROWS
    begin = said if said is not None else rows - size if resized else LLADA_FIRST_ROW
    actions = ActionTokens(begin, size)
    if begin < 0 or actions.ids.stop > rows:
        raise CheckpointError(
            f"The action tokens {begin}..{actions.ids[-1]} are not all among the {rows} rows of the vocabulary; set "
            f"{BEGIN_KEY} in config.json to the first one, or vocab_size to the rows of the embedding."
        )
    if taken := sorted(set(LLADA_IDS.values()) & set(actions.ids)):
        raise CheckpointError(
            f"config.json: {BEGIN_KEY} {begin} makes action tokens of the chat's own {taken}; set it to the first of "
            f"the {size} action tokens."
        )
    # An id without a token decodes to nothing.
    used = [token for token in actions.ids if tokenizer.decode([token], skip_special_tokens=False)]
    if used and said is None and not resized:
        raise CheckpointError(
            f"The tokenizer uses {used[0]}..{used[-1]}, rows that LLaDA-V leaves free and that are taken for actions. "
            f"Set {BEGIN_KEY} in config.json to the first of the {size} action tokens."
        )
    return actions
