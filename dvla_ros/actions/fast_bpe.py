"""Byte-pair encoding of coefficient text, the second half of FAST (arXiv 2501.09747)."""

from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from dvla_ros.errors import ConfigurationError

_MIN_FREQUENCY = 2  # a pair seen once is not worth a token
_MAX_TOKEN_LENGTH = 10_000  # longer than any chunk: no limit


def train_bpe(texts: Sequence[str], num_characters: int, vocabulary_size: int | None, *, byte_level: bool) -> Any:
    """Fit a tokenizer to texts of the characters chr(0) .. chr(num_characters - 1).

    Args:
        texts: One string per chunk.
        num_characters: Every one of them can be encoded afterwards, seen or not.
        vocabulary_size: Tokens to have at most, merges included; None for no merges: one token per character.
        byte_level: Merge UTF-8 bytes within words, as the published FAST files do, instead of whole characters.

    Returns:
        A `tokenizers.Tokenizer`; its vocabulary is smaller than asked for where the texts repeat too little.

    Raises:
        ConfigurationError: The alphabet does not fit in `vocabulary_size`, or is of bytes and has no merges.
    """
    if byte_level and vocabulary_size is None:
        raise ConfigurationError("byte_level needs a vocabulary_size: without merges a byte is not a coefficient.")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.decoder = decoders.Fuse()
    characters = {chr(code) for code in range(num_characters)}
    alphabet = set(characters)
    if byte_level:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet |= {byte for character in characters for byte in _bytes(tokenizer, character)}
    size = len(alphabet) if vocabulary_size is None else vocabulary_size
    if size < len(alphabet):
        raise ConfigurationError(
            f"vocabulary_size must be at least {len(alphabet)}, one for each coefficient value, got {size}; "
            "raise it or lower the scale."
        )
    tokenizer.train_from_iterator(texts, _trainer(size, alphabet))
    return tokenizer


def _trainer(size: int, alphabet: set[str]) -> Any:
    return trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=_MIN_FREQUENCY,
        show_progress=False,
        special_tokens=[],
        initial_alphabet=sorted(alphabet),
        max_token_length=_MAX_TOKEN_LENGTH,
    )


def _bytes(tokenizer: Any, character: str) -> str:
    """The visible characters that stand for the UTF-8 bytes of one character."""
    return "".join(piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(character))
