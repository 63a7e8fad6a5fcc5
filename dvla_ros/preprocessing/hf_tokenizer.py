"""Tokenizers in the `tokenizer.json` form (Llama, LLaDA, Qwen2), read without any code from the checkpoint."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from dvla_ros.errors import CheckpointError
from dvla_ros.preprocessing.json_file import read_optional_json
from dvla_ros.preprocessing.token_ids import require_ids

_FILE = "tokenizer.json"
_SENTENCEPIECE = "tokenizer.model"
_COPY = "Copy it from the base model that the network was trained from."
_CONVERT = (
    "Convert it once, on a machine with sentencepiece: "
    "transformers.AutoTokenizer.from_pretrained(FOLDER, use_fast=True).save_pretrained(FOLDER)."
)


class HfTokenizer:
    """A tokenizer of a checkpoint directory; use `open`.

    Only `tokenizer.json` decides how text is split. The files beside it (`added_tokens.json`, `tokenizer_config.json`,
    `special_tokens_map.json`) may name further tokens and must agree with it; `auto_map` is ignored.

    Attributes:
        special_tokens: Token to id of every control token.
    """

    def __init__(self, tokenizer: Any, folder: Path) -> None:
        self._tokenizer = tokenizer
        self._folder = folder
        added = tokenizer.get_added_tokens_decoder().items()
        self.special_tokens: dict[str, int] = {token.content: number for number, token in added if token.special}

    @classmethod
    def open(cls, folder: Path) -> "HfTokenizer":
        """Read the tokenizer of a checkpoint directory.

        Raises:
            CheckpointError: `tokenizer.json` is missing or unreadable, or the files beside it disagree with it.
        """
        path = folder / _FILE
        if not path.is_file():
            only_model = (folder / _SENTENCEPIECE).is_file()
            found = f"only {_SENTENCEPIECE}, which cannot be read here" if only_model else "nothing in its place"
            raise CheckpointError(f"There is no {_FILE} in {folder}, {found}. {_CONVERT if only_model else _COPY}")
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing more specific
            raise CheckpointError(f"{path} is not a tokenizer: {error}. {_COPY}") from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        _add_missing(tokenizer, _declared(folder), folder)
        return cls(tokenizer, folder)

    @property
    def size(self) -> int:
        """Tokens that have an id, added ones included."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Text to ids; control tokens written out in it become their ids.

        Args:
            text: Any string, the empty one too.
            add_special_tokens: Whether to add what the tokenizer's own template adds (Llama: BOS).
        """
        return list(self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids)

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """Ids to text; bytes that are no UTF-8 become replacement characters."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=skip_special_tokens))

    def find(self, token: str) -> int | None:
        """The id of a token, None where there is no such token."""
        number = self._tokenizer.token_to_id(token)
        return None if number is None else int(number)

    def id_of(self, token: str, expected: int | None = None) -> int:
        """The id of a token.

        Args:
            token: As written in the vocabulary.
            expected: The id that it must have; None for any.

        Raises:
            CheckpointError: There is no such token, or it has another id.
        """
        number = self.find(token)
        if number is None:
            raise CheckpointError(f"The tokenizer in {self._folder} has no token '{token}'. {_COPY}")
        if expected is not None:
            require_ids(self.find, {token: expected}, self._folder)
        return number

    def require(self, expected: Mapping[str, int]) -> None:
        """Nothing, where every token has the expected id.

        Raises:
            CheckpointError: Tokens are missing or have other ids; the message lists all of them.
        """
        require_ids(self.find, expected, self._folder)


def _declared(folder: Path) -> dict[str, int | None]:
    """The tokens that the files beside `tokenizer.json` name, with their ids where they say them.

    Raises:
        CheckpointError: Two files give a token two ids.
    """
    declared: dict[str, int | None] = {}
    for name, token, number in _mentions(folder):
        known = declared.get(token)
        if known is not None and number is not None and known != number:
            raise CheckpointError(
                f"{folder / name} gives '{token}' the id {number}, another file gives it {known}. {_COPY}"
            )
        declared[token] = known if number is None else number
    return declared


def _mentions(folder: Path) -> Iterator[tuple[str, str, int | None]]:
    name = "added_tokens.json"
    for token, number in read_optional_json(folder, name).items():
        yield name, token, _number(number, folder / name)
    name = "tokenizer_config.json"
    for number, entry in (read_optional_json(folder, name).get("added_tokens_decoder") or {}).items():
        yield name, _content(entry, folder / name), _number(number, folder / name)
    name = "special_tokens_map.json"
    for entries in read_optional_json(folder, name).values():
        for entry in entries if isinstance(entries, list) else [entries]:
            yield name, _content(entry, folder / name), None


def _number(value: Any, path: Path) -> int:
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path} has the token id {value!r}; it must be a whole number. {_COPY}") from error


def _content(entry: Any, path: Path) -> str:
    content = entry.get("content") if isinstance(entry, dict) else entry
    if not isinstance(content, str):
        raise CheckpointError(f"{path} names the token {entry!r}; it must be a string or have a 'content'. {_COPY}")
    return content


def _add_missing(tokenizer: Any, declared: Mapping[str, int | None], folder: Path) -> None:
    """Give tokens that only the files beside `tokenizer.json` know their ids, at the end of the vocabulary."""
    for token, number in sorted(declared.items(), key=lambda item: -1 if item[1] is None else item[1]):
        if tokenizer.token_to_id(token) is None and number is not None:
            tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True)])
        if (found := tokenizer.token_to_id(token)) is None or (number is not None and found != number):
            stated = "an id in no file" if found is None else f"id {found} in {_FILE}"
            raise CheckpointError(
                f"The tokenizer files in {folder} disagree: '{token}' has {stated}"
                f"{'' if number is None else f' and should have {number}'}. {_COPY}"
            )
