"""The baseline of a reasoning: `generate` of `transformers` with the same weights, greedy, with its own cache."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dvla_ros.evaluation.decode.stopwatch import seconds_of
from dvla_ros.models.qwen2_vl import Question, Qwen2VL
from dvla_ros.weights.checkpoint_folder import json_in

_OURS = (("model.visual.", "visual."), ("model.language_model.embed_tokens.", "language.embed_tokens."))


@dataclass(frozen=True)
class Generated:
    """What `generate` said.

    Attributes:
        seconds: Wall time of each repetition, reading the prompt included.
        tokens: int64 `[n]`.
    """

    seconds: tuple[float, ...]
    tokens: Tensor


@torch.no_grad()
def hf_generate(checkpoint: Path, backbone: Qwen2VL, question: Question, words: int, repeats: int) -> Generated:
    """Ask for exactly `words` tokens.

    Args:
        checkpoint: Whose `config.json` says the sizes.
        backbone: Our network; theirs gets its weights.
        question: The prompt.
        words: Length of the answer.
        repeats: How often.
    """
    model = _theirs(checkpoint, backbone)
    device, answers = question.ids.device, list[Tensor]()
    inputs: dict[str, Any] = {
        "input_ids": question.ids[None],
        "attention_mask": torch.ones_like(question.ids)[None],
        "pixel_values": question.patches,
        "image_grid_thw": torch.tensor(question.grids, device=device),
        "mm_token_type_ids": (question.ids == backbone.config.image_token).int()[None],
    }

    def generate() -> None:
        answers.append(
            model.generate(  # type: ignore[operator]
                **inputs, max_new_tokens=words, min_new_tokens=words, do_sample=False, num_beams=1
            )
        )

    taken = seconds_of(generate, device, repeats=repeats, warm_up=1)
    return Generated(taken, answers[-1][0, len(question.ids) :])


def _theirs(checkpoint: Path, backbone: Qwen2VL) -> nn.Module:
    # transformers takes seconds to import.
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    config = Qwen2VLConfig.from_dict({**json_in(checkpoint, "config.json"), "model_type": "qwen2_vl"})
    weight = backbone.language.embed_tokens.weight
    before = torch.get_default_dtype()
    torch.set_default_dtype(weight.dtype)
    try:
        with weight.device:
            model: nn.Module = Qwen2VLForConditionalGeneration(config).eval()
    finally:
        torch.set_default_dtype(before)
    own = backbone.state_dict()
    model.load_state_dict({name: own[_ours(name)] for name in model.state_dict()}, strict=True)
    return model


def _ours(name: str) -> str:
    """Our name of one of their tensors."""
    for theirs, ours in _OURS:
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    if name.startswith("model.language_model."):
        return "language.trunk." + name.removeprefix("model.language_model.")
    return "language." + name
