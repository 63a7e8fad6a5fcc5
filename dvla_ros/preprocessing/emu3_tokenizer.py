"""Emu3's tokenizer, read from `emu3.tiktoken` and `emu3_vision_tokens.txt`: UniVLA, UD-VLA and DFM-VLA."""

import base64
import binascii
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from dvla_ros.errors import CheckpointError, DependencyError
from dvla_ros.preprocessing.token_ids import require_ids

_RANKS = "emu3.tiktoken"
_VISION = "emu3_vision_tokens.txt"
_COPY = "Copy it from BAAI/Emu3-Stage1."
_EXTRAS = 205
# How text is cut into words before pairs are merged: Qwen's pattern, each digit on its own.
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# The ids that UD-VLA's, UniVLA's and DFM-VLA's networks were trained with.
PAD, BOA, EOA, EOL, EOF, MASK = 151643, 151844, 151845, 151846, 151847, 151848
BOS, EOS, IMG, BOI, EOI = 151849, 151850, 151851, 151852, 151853
FIRST_CODE, NUM_CODES = 151854, 32768
EMU3_IDS: Mapping[str, int] = {
    "<|endoftext|>": PAD,
    "<|extra_198|>": BOA,
    "<|extra_199|>": EOA,
    "<|extra_200|>": EOL,
    "<|extra_201|>": EOF,
    "<|extra_202|>": MASK,
    "<|extra_203|>": BOS,
    "<|extra_204|>": EOS,
    "<|image token|>": IMG,
    "<|image start|>": BOI,
    "<|image end|>": EOI,
    "<|visual token 000000|>": FIRST_CODE,
    "<|visual token 032767|>": FIRST_CODE + NUM_CODES - 1,
}


class Emu3Tokenizer:
    """The tokenizer of a checkpoint directory; use `open`.

    Attributes:
        special_tokens: Token to id of everything that is not text: control tokens and image codes.
    """

    def __init__(self, ranks: dict[bytes, int], special_tokens: dict[str, int], folder: Path) -> None:
        try:
            import tiktoken
        except ImportError as error:
            raise DependencyError("Emu3's tokenizer needs the package tiktoken: pip install tiktoken.") from error
        # Control tokens stay out of it: an instruction that spells one is text, and loading is ten times faster.
        self._text = tiktoken.Encoding("emu3", pat_str=_WORDS, mergeable_ranks=ranks, special_tokens={})
        self._names = {number: token for token, number in special_tokens.items()}
        self._folder = folder
        self.special_tokens = special_tokens

    @classmethod
    def open(cls, folder: Path) -> "Emu3Tokenizer":
        """Read both files of a checkpoint directory.

        Raises:
            CheckpointError: A file is missing or unreadable, or ids are not those of `EMU3_IDS`.
            DependencyError: tiktoken is not installed.
        """
        ranks = _ranks(folder)
        names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|extra_{i}|>" for i in range(_EXTRAS))]
        names += _vision_tokens(folder)
        special_tokens = {name: len(ranks) + index for index, name in enumerate(names)}
        require_ids(special_tokens.get, EMU3_IDS, folder)
        return cls(ranks, special_tokens, folder)

    @property
    def size(self) -> int:
        """Tokens that have an id: 184622."""
        return self._text.n_vocab + len(self.special_tokens)

    def encode(self, text: str) -> list[int]:
        """Text, composed to Unicode's NFC, to ids below 151643: control tokens spelled in it are text."""
        return list(self._text.encode_ordinary(unicodedata.normalize("NFC", text)))

    def decode(self, ids: Sequence[int]) -> str:
        """Ids to text, control tokens by their names; bytes that are no UTF-8 become replacement characters."""
        runs = groupby(ids, key=lambda number: number in self._names)
        return "".join(
            "".join(self._names[number] for number in run) if special else self._text.decode(list(run))
            for special, run in runs
        )

    def id_of(self, token: str, expected: int | None = None) -> int:
        """The id of a control token or image code.

        Args:
            token: Its name.
            expected: The id that it must have; None for any.

        Raises:
            CheckpointError: There is no such token, or it has another id.
        """
        if token not in self.special_tokens:
            raise CheckpointError(f"The tokenizer in {self._folder} has no control token '{token}'. {_COPY}")
        if expected is not None:
            require_ids(self.special_tokens.get, {token: expected}, self._folder)
        return self.special_tokens[token]


def _ranks(folder: Path) -> dict[bytes, int]:
    """Token bytes to rank, which is its id: one base64 word and one number a line."""
    path = folder / _RANKS
    if not path.is_file():
        raise CheckpointError(f"There is no {_RANKS} in {folder}. {_COPY}")
    ranks: dict[bytes, int] = {}
    for index, line in enumerate(path.read_bytes().splitlines()):
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error) as error:
            raise CheckpointError(f"{path}, line {index + 1}, is no base64 token and rank: {error}. {_COPY}") from error
    if len(ranks) != PAD or sorted(ranks.values()) != list(range(PAD)):
        raise CheckpointError(f"{path} must have the ranks 0..{PAD - 1} once each, got {len(ranks)} tokens. {_COPY}")
    return ranks


def _vision_tokens(folder: Path) -> list[str]:
    """Names of the image tokens, in the order of their ids."""
    path = folder / _VISION
    if not path.is_file():
        raise CheckpointError(f"There is no {_VISION} in {folder}. {_COPY}")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is no UTF-8 text: {error}. {_COPY}") from error
    return [line.strip() for line in lines if line.strip()]
