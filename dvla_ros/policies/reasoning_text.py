"""Reasoning as token ids: a word-level tokenizer of the few words that the reasoning is made of.

An answer is what the policy says to itself, then `Next action:`, then the end (DiffusionVLA's form of the assistant's
turn). Punctuation stays with its word, so that joining words by spaces is the exact inverse.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from dvla_ros.errors import CheckpointError, ConfigurationError

FOLDER = "reasoning"
"""Where the tokenizer lies in a checkpoint."""
IGNORED = -1
"""Stands in place of tokens beyond an answer's end."""
NEXT_ACTION = "Next action:"
_FILE = "tokenizer.json"
_PAD, _END, _UNKNOWN = "<pad>", "<end>", "<unknown>"


class ReasoningTokenizer:
    """Sentences to token ids and back.

    Args:
        tokenizer: With the words, the special tokens and `Next action:` as one token.

    Raises:
        ConfigurationError: A special token is missing.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        vocabulary = tokenizer.get_vocab()
        if missing := [token for token in (_PAD, _END, _UNKNOWN, NEXT_ACTION) if token not in vocabulary]:
            raise ConfigurationError(f"A reasoning tokenizer needs the tokens {missing}, which this one lacks.")
        self._tokenizer = tokenizer
        self._unknown = vocabulary[_UNKNOWN]
        self.end = vocabulary[_END]

    @classmethod
    def fit(cls, sentences: Sequence[str]) -> "ReasoningTokenizer":
        """A tokenizer with every word of the sentences, in alphabetical order, so that it depends on nothing else."""
        words = sorted({word for sentence in sentences for word in sentence.split()})
        vocabulary = {word: i for i, word in enumerate((_PAD, _END, _UNKNOWN, NEXT_ACTION, *words))}
        tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=_UNKNOWN))
        tokenizer.pre_tokenizer = WhitespaceSplit()
        tokenizer.add_tokens([AddedToken(NEXT_ACTION, normalized=False)])
        tokenizer.add_special_tokens([_PAD, _END, _UNKNOWN])
        return cls(tokenizer)

    @classmethod
    def load(cls, checkpoint: Path) -> "ReasoningTokenizer":
        """Read `reasoning/tokenizer.json` of a checkpoint folder.

        Raises:
            CheckpointError: The file is missing or broken.
        """
        path = checkpoint / FOLDER / _FILE
        if not path.is_file():
            raise CheckpointError(f"{checkpoint} has no {FOLDER}/{_FILE}; a policy that reasons needs its words.")
        try:
            return cls(Tokenizer.from_str(path.read_text(encoding="utf-8")))
        except Exception as error:  # `tokenizers` raises nothing narrower
            raise CheckpointError(f"{path} cannot be read: {error}") from error

    def save(self, checkpoint: Path) -> None:
        """Write `reasoning/tokenizer.json` into a checkpoint folder."""
        folder = checkpoint / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FILE).write_text(self._tokenizer.to_str(pretty=True) + "\n", encoding="utf-8")

    @property
    def vocabulary(self) -> int:
        """Number of token ids."""
        return self._tokenizer.get_vocab_size()

    def length(self, sentences: Sequence[str]) -> int:
        """Tokens of the longest answer, `Next action:` and end included."""
        return max(len(ids) for ids in self._answers(sentences))

    def encode(self, sentences: Sequence[str], length: int) -> np.ndarray:
        """Answers int64 `[N, length]`: the sentence, `Next action:`, the end, then -1.

        Raises:
            ConfigurationError: A sentence has an unknown word or is too long.
        """
        encoded = np.full((len(sentences), length), IGNORED, dtype=np.int64)
        for row, sentence, ids in zip(encoded, sentences, self._answers(sentences), strict=True):
            if self._unknown in ids:
                raise ConfigurationError(f"The reasoning {sentence!r} has words that its tokenizer does not know.")
            if len(ids) > length:
                raise ConfigurationError(f"The reasoning {sentence!r} is {len(ids)} tokens long, more than {length}.")
            row[: len(ids)] = ids
        return encoded

    def decode(self, ids: Sequence[int]) -> str:
        """The sentence of an answer: what stands before `Next action:`, without special tokens."""
        until_end = list(ids)[: list(ids).index(self.end)] if self.end in ids else list(ids)
        text: str = self._tokenizer.decode(until_end)
        return text.split(NEXT_ACTION, maxsplit=1)[0].strip()

    def _answers(self, sentences: Sequence[str]) -> list[list[int]]:
        answers = [f"{sentence} {NEXT_ACTION}" for sentence in sentences]
        return [[*encoding.ids, self.end] for encoding in self._tokenizer.encode_batch(answers)]
