"""Emu3 as UniVLA, UD-VLA and DFM-VLA fine-tune it: its vocabulary, and the language model of its `config.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dvla_ros.errors import CheckpointError
from dvla_ros.models.language_model import LanguageModel
from dvla_ros.models.llama_config import llama_trunk
from dvla_ros.models.trunk_config import TrunkConfig
from dvla_ros.preprocessing.emu3_tokenizer import BOI, BOS, EOF, EOI, EOL, EOS, FIRST_CODE, IMG, NUM_CODES, PAD

VISUAL = range(FIRST_CODE, FIRST_CODE + NUM_CODES)
"""Ids of the codes of an image."""
VOCABULARY = VISUAL.stop

IDS: dict[str, int] = {
    "pad_token_id": PAD,
    "bos_token_id": BOS,
    "eos_token_id": EOS,
    "img_token_id": IMG,
    "boi_token_id": BOI,
    "eoi_token_id": EOI,
    "eol_token_id": EOL,
    "eof_token_id": EOF,
}
"""Keys of `config.json` and the only values with which the action and image tokens are where they are looked for."""

_ARCHITECTURES = ("Emu3MoE", "Emu3ForCausalLM")
_SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "rms_norm_eps",
    "max_position_embeddings",
)
_FIXED: dict[str, object] = {
    "hidden_act": "silu",
    "rope_scaling": None,
    "tie_word_embeddings": False,
    "action_experts": False,
    "attention_bias": False,
    "mlp_bias": False,
}
"""What the language model here can do; a key that is absent means the same."""
_FIXES = {
    "action_experts": "the experts of Emu3MoE are not run here: fine-tune with action_experts false, as UD-VLA does",
    "tie_word_embeddings": "Emu3 has a head of its own",
}


@dataclass(frozen=True)
class Emu3Config:
    """Sizes of the language model.

    Attributes:
        trunk: Its transformer.
        longest: Positions it was trained for.
    """

    trunk: TrunkConfig
    longest: int

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Emu3Config":
        """Read the keys of a published `config.json`.

        Raises:
            CheckpointError: Keys are missing or have values that cannot be run; all are named.
        """
        wrong = [f"{key} is missing" for key in (*_SIZES, *IDS) if key not in values]
        if "rope_theta" not in {**(values.get("rope_parameters") or {}), **values}:
            wrong.append("rope_theta is missing")
        kinds = values.get("architectures")
        if not isinstance(kinds, list) or not set(kinds) & set(_ARCHITECTURES):
            wrong.append(f"architectures must name {' or '.join(_ARCHITECTURES)}, got {kinds!r}")
        must = {"vocab_size": VOCABULARY, **IDS}
        wrong += [f"{key} must be {v}, got {values[key]!r}" for key, v in must.items() if _differs(values, key, v)]
        wrong += [
            f"{key} must be {value!r}, got {values[key]!r}" + (f" ({_FIXES[key]})" if key in _FIXES else "")
            for key, value in _FIXED.items()
            if _differs(values, key, value)
        ]
        longest = values.get("max_position_embeddings", 1)
        if type(longest) is not int or longest < 1:
            wrong.append(f"max_position_embeddings must be a positive number, got {longest!r}")
        if wrong:
            raise CheckpointError(f"config.json of an Emu3: {'; '.join(wrong)}.")
        return cls(llama_trunk(values), longest)

    def network(self) -> LanguageModel:
        """The language model, with fresh weights; its parameters are located by `locate_language_model`."""
        return LanguageModel(self.trunk, VOCABULARY)


def is_emu3(values: Mapping[str, Any]) -> bool:
    """Whether these are the keys of a `config.json` of this family."""
    return values.get("model_type") == "Emu3"


def size_ids(rows: int, columns: int) -> tuple[int, ...]:
    """Ids of the text `1*rows*columns` that stands before an image: one frame of so many codes.

    Emu3's tokenizer never merges digits, and its bytes are in the order of their printable characters.
    """
    return tuple(ord(symbol) - ord("!") for symbol in size_text(rows, columns))


def size_text(rows: int, columns: int) -> str:
    """The text itself."""
    return f"1*{rows}*{columns}"


def _differs(values: Mapping[str, Any], key: str, wanted: object) -> bool:
    return key in values and (values[key] != wanted or type(values[key]) is not type(wanted))
