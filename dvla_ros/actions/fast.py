"""FAST: action chunks to few tokens by cosine transform and byte-pair encoding (arXiv 2501.09747)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tokenizers import Tokenizer

from dvla_ros.actions.dct import dct_matrix
from dvla_ros.actions.fast_bpe import train_bpe
from dvla_ros.errors import ActionError, CheckpointError, ConfigurationError

FloatArray = NDArray[np.float64]

TOKENIZER = "tokenizer.json"
PROCESSOR = "processor_config.json"

_FIRST_SURROGATE = 0xD800  # chr() of the codes from here on is no text that a tokenizer takes
_NOT_TEXT = "\ufffd"  # what a decoder writes for bytes that are no UTF-8
_TIE = 1e-6  # a largest coefficient that ends in .5 may be rounded up
_ADVICE = "are the actions normalised to -1..1, and is this their tokenizer?"


@dataclass(frozen=True)
class FastDecoded:
    """What FAST ids decode to.

    Attributes:
        actions: float64 `[H, D]`, normalised; all NaN where the ids say nothing that could be executed. NaN and not
            zero, because zero un-normalises to the middle of the data's range, which is a motion.
        malformed: The ids are not those of exactly one chunk; `actions` may be repaired all the same.
        reason: What is wrong with them; empty when nothing is.
    """

    actions: FloatArray
    malformed: bool = False
    reason: str = ""

    @property
    def usable(self) -> bool:
        """Whether `actions` are numbers."""
        return bool(np.isfinite(self.actions).all())


@dataclass(frozen=True)
class FastTokenizer:
    """Normalised action chunks `[H, D]` to a varying number of ids and back.

    Encoding takes the cosine transform of every column over time, scales and rounds it to integers K, writes K row
    by row (lowest frequency first, columns inside) as one character chr(k - min_token) each, and compresses the
    string by byte-pair encoding. What is lost is the rounding: at most sqrt(H) / (2 * scale) in a number.

    The files are those of the published tokenizers; their own code is not needed and never run.

    Attributes:
        scale: Integers per unit of a coefficient.
        min_token: The integer that character 0 stands for.
        horizon: H, actions in a chunk.
        action_dim: D, numbers in an action.
        tokenizer: The byte-pair encoder, a `tokenizers.Tokenizer`.

    Raises:
        ConfigurationError: `scale`, `horizon` or `action_dim` is not positive.
    """

    scale: float
    min_token: int
    horizon: int
    action_dim: int
    tokenizer: Any

    def __post_init__(self) -> None:
        for name in ("scale", "horizon", "action_dim"):
            if not 0 < getattr(self, name) < np.inf:
                raise ConfigurationError(f"FAST: {name} must be positive, got {getattr(self, name)}.")

    @classmethod
    def fit(
        cls, chunks: ArrayLike, *, vocabulary_size: int | None, scale: float = 50.0, byte_level: bool = False
    ) -> "FastTokenizer":
        """Fit the byte-pair encoder to data; every chunk in -1..1 can be encoded afterwards, seen or not.

        Args:
            chunks: `[N, H, D]`, N > 0, normalised; the published fits take every window of every episode, stride 1.
            vocabulary_size: Number of ids to have at most; None for one id per coefficient value and no merges, so
                that a chunk is always H * D ids.
            scale: 10 in the universal tokenizer, 50 in those of UniVLA and UD-VLA.
            byte_level: Merge bytes as the published fits do. By default whole coefficients are merged, which leaves
                no id that is half a coefficient.

        Raises:
            ActionError: The chunks have no `[N, H, D]` or are not finite.
            ConfigurationError: `scale` is not positive or the coefficient values do not fit in `vocabulary_size`.
        """
        array = _finite(chunks)
        if array.ndim != 3 or 0 in array.shape:
            raise ActionError(f"FAST is fitted to chunks [N, H, D] with N, H, D > 0, got shape {list(array.shape)}.")
        if not 0 < scale < np.inf:
            raise ConfigurationError(f"FAST: scale must be positive, got {scale}.")
        _, horizon, dim = array.shape
        coefficients = _coefficients(array, scale)
        bound = int(scale * np.sqrt(horizon) + 0.5 + _TIE)
        low, high = min(-bound, int(coefficients.min())), max(bound, int(coefficients.max()))
        texts = [_text(row, low) for row in coefficients]
        return cls(scale, low, horizon, dim, train_bpe(texts, high - low + 1, vocabulary_size, byte_level=byte_level))

    @classmethod
    def load(cls, folder: Path, *, horizon: int | None = None, action_dim: int | None = None) -> "FastTokenizer":
        """Read a folder with `tokenizer.json` and `processor_config.json`, published or saved.

        Args:
            folder: Where the two files lie.
            horizon: H; needed where the folder does not say it, as in the published ones.
            action_dim: D; likewise.

        Raises:
            CheckpointError: A file is missing or broken, or H or D is unknown or contradicts the folder.
        """
        for name in (TOKENIZER, PROCESSOR):
            if not (folder / name).is_file():
                raise CheckpointError(f"{folder} is not a FAST tokenizer: it has no {name}.")
        try:
            config = json.loads((folder / PROCESSOR).read_text(encoding="utf-8"))
            scale, min_token = float(config["scale"]), int(config["min_token"])
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{folder / PROCESSOR} needs the numbers 'scale' and 'min_token': {error}."
            ) from error
        try:
            tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        except Exception as error:  # the library raises nothing more special
            raise CheckpointError(f"{folder / TOKENIZER} cannot be read: {error}") from error
        steps = _agreed("horizon", horizon, config.get("time_horizon"), folder)
        dim = _agreed("action_dim", action_dim, config.get("action_dim"), folder)
        return cls(scale, min_token, steps, dim, tokenizer)

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and `processor_config.json`; the folder is made."""
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer.save(str(folder / TOKENIZER))
        config = {
            "action_dim": self.action_dim,
            "min_token": self.min_token,
            "scale": self.scale,
            "time_horizon": self.horizon,
            "vocab_size": self.vocabulary,
        }
        (folder / PROCESSOR).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    @property
    def vocabulary(self) -> int:
        """Number of ids, 0..V-1."""
        return int(self.tokenizer.get_vocab_size())

    def encode(self, actions: ArrayLike) -> list[int]:
        """One normalised chunk `[H, D]` to ids; errors as for `encode_batch`."""
        return self.encode_batch(np.asarray(actions, dtype=np.float64)[None])[0]

    def encode_batch(self, chunks: ArrayLike) -> list[list[int]]:
        """Normalised chunks `[N, H, D]` to N lists of ids.

        Raises:
            ActionError: Another shape, a number that is not finite, or a coefficient that the tokenizer cannot write.
                The published code clamps or drops such a coefficient, and a dropped one shifts all that follow.
        """
        array = _finite(chunks)
        if array.ndim != 3 or array.shape[1:] != (self.horizon, self.action_dim):
            raise ActionError(
                f"FAST needs chunks of shape [{self.horizon}, {self.action_dim}], got {list(array.shape[1:])}."
            )
        texts = [_text(row, self.min_token) for row in _coefficients(array, self.scale)]
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(texts, add_special_tokens=False)]
        for text, back in zip(texts, self.tokenizer.decode_batch(ids, skip_special_tokens=False), strict=True):
            if back != text:
                lost = sorted({ord(character) + self.min_token for character in set(text) - set(back)})
                raise ActionError(f"FAST has no token for the coefficients {lost}; {_ADVICE}")
        return ids

    def decode(self, ids: Sequence[int], *, repair: bool = True) -> FastDecoded:
        """Ids to one normalised chunk; never raises, whatever the ids.

        Args:
            ids: Any number of FAST ids.
            repair: Pad too few coefficients with zeros (the highest frequencies are missing) and drop those in excess,
                as UniVLA and UD-VLA do. False takes only the exact number, as the original FAST does.
        """
        vocabulary = self.vocabulary
        if foreign := [index for index in ids if not 0 <= index < vocabulary]:
            return self._undecodable(f"id {foreign[0]} is outside 0..{vocabulary - 1}")
        text = self.tokenizer.decode(list(ids), skip_special_tokens=False)
        wanted = self.horizon * self.action_dim
        body = text[:wanted].rstrip(_NOT_TEXT)  # cut off within a coefficient is merely short
        if _NOT_TEXT in body:
            return self._undecodable(f"coefficient {body.index(_NOT_TEXT)} is no UTF-8 text")
        found = len(body) if len(body) < wanted else len(text)
        reason = "" if found == wanted else f"{found} coefficients instead of {wanted}"
        if reason and (not repair or found < self.action_dim):
            return self._undecodable(reason)
        coefficients = np.zeros(wanted)
        coefficients[: len(body)] = [ord(character) + self.min_token for character in body]
        grid = coefficients.reshape(self.horizon, self.action_dim) / self.scale
        return FastDecoded(dct_matrix(self.horizon).T @ grid, malformed=bool(reason), reason=reason)

    def _undecodable(self, reason: str) -> FastDecoded:
        return FastDecoded(np.full((self.horizon, self.action_dim), np.nan), malformed=True, reason=reason)


def _coefficients(chunks: FloatArray, scale: float) -> NDArray[np.int64]:
    """Chunks `[N, H, D]` to integers `[N, H * D]`, row-major."""
    scaled = np.rint(scale * (dct_matrix(chunks.shape[1]) @ chunks))
    return scaled.reshape(len(chunks), chunks.shape[1] * chunks.shape[2]).astype(np.int64)


def _text(coefficients: NDArray[np.int64], min_token: int) -> str:
    codes = coefficients - min_token
    if codes.min() < 0 or codes.max() >= _FIRST_SURROGATE:
        last = min_token + _FIRST_SURROGATE - 1
        found = f"{coefficients.min()}..{coefficients.max()}"
        raise ActionError(f"FAST writes the coefficients {min_token}..{last}, got {found}; {_ADVICE}")
    return "".join(map(chr, codes.tolist()))


def _finite(chunks: ArrayLike) -> FloatArray:
    array = np.asarray(chunks, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ActionError("Cannot encode NaN or infinite actions; check the data or the normalisation statistics.")
    return array


def _agreed(name: str, given: int | None, stored: int | None, folder: Path) -> int:
    if given is not None and stored is not None and given != stored:
        raise CheckpointError(f"{folder} was made for {name} {stored}, not {given}.")
    value = given if stored is None else stored
    if value is None:
        raise CheckpointError(f"{folder} does not say its {name}; pass {name}=….")
    return int(value)
