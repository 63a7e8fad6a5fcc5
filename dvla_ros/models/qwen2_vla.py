"""DiffusionVLA and DexVLA at true size (arXiv 2412.03293, 2502.05855): Qwen2-VL, reasoning injection, action head."""

import torch
from torch import Tensor, nn

from dvla_ros.models.qwen2_vl import Qwen2VL, ReadPrompt, SaidWords, locate_qwen2_vl
from dvla_ros.models.qwen2_vla_config import Qwen2VlaConfig
from dvla_ros.models.reasoning_film import ReasoningFilm, ReasoningFilmConfig, TokenRanges
from dvla_ros.models.scale_dp import ScaleDP
from dvla_ros.models.unet1d import ConditionalUnet1D, Unet1DConfig
from dvla_ros.weights.names import Location

UNUSED_WITHOUT_FILM = (r"input_action_proj\..*",)
"""Published tensors that a model without FiLM has all the same, and never uses."""


class Qwen2Vla(nn.Module):
    """What reads, what joins the reading with the reasoning, and what acts."""

    def __init__(self, config: Qwen2VlaConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Qwen2VL(config.backbone)
        self.film = ReasoningFilm(ReasoningFilmConfig(config.backbone.trunk.width, config.using_film))
        head = config.head
        self.policy_head = ConditionalUnet1D(head) if isinstance(head, Unet1DConfig) else ScaleDP(head)

    def condition(self, prompt: ReadPrompt, answer: SaidWords | None, state: Tensor | None) -> Tensor:
        """What the action head is told.

        Args:
            prompt: What was read.
            answer: What was said; None for nothing.
            state: Normalised state `[1, S]`; None for a head without state.

        Returns:
            `[1, C]`, what `policy_head` takes.
        """
        hidden = prompt.hidden if answer is None else torch.cat([prompt.hidden, answer.hidden], dim=1)
        is_prompt = torch.arange(hidden.shape[1], device=hidden.device).unsqueeze(0) < prompt.hidden.shape[1]
        pooled = self.film(hidden, TokenRanges(prompt=is_prompt, reasoning=~is_prompt))
        return self.policy_head.encode_condition(pooled, state)


def locate_qwen2_vla(name: str) -> Location:
    """Where a parameter of `Qwen2Vla` lies in a published checkpoint."""
    part, _, rest = name.partition(".")
    if part == "backbone":
        return locate_qwen2_vl(rest)
    return Location(rest if part == "film" else name)
