"""Qwen2-VL with an action head as the objective of DiffusionVLA sees it."""

import torch
from torch import Tensor, nn

from dvla_ros.models.ddim import DdimConfig, NoisePredictor
from dvla_ros.models.head import TokenRows
from dvla_ros.models.qwen2_vla import Qwen2Vla
from dvla_ros.models.reasoning_film import TokenRanges
from dvla_ros.policies.published.qwen2_vl_layout import Qwen2VlSetup
from dvla_ros.policies.published.qwen2_vl_network import Qwen2VlNetwork
from dvla_ros.training.learner import Understood
from dvla_ros.training.published.qwen2_vl_examples import Qwen2VlBatch


class Qwen2VlLearner:
    """A `ReasoningLearner`; a row is `[padding][prompt][answer][padding]`, causal.

    The head is told the mean over the answer without its last word: a policy stops when that is said, and never reads
    it. The published training code takes it in, and its own policy does not.

    Args:
        setup: The checkpoint.
        network: Its networks.

    Attributes:
        module: All that may be trained.
        never_run: As of `PrismaticLearner`: nothing.
    """

    never_run = ""

    def __init__(self, setup: Qwen2VlSetup, network: Qwen2VlNetwork) -> None:
        self.module = nn.ModuleDict({"model": network.model})
        self._levels = setup.config.noise_levels
        self._rows = TokenRows.of(range(setup.config.backbone.vocabulary))
        self._image_token = setup.config.backbone.image_token

    @property
    def _model(self) -> Qwen2Vla:
        model = self.module["model"]
        assert isinstance(model, Qwen2Vla)
        return model

    @property
    def head(self) -> NoisePredictor:
        """See `ReasoningLearner`."""
        head: NoisePredictor = self._model.policy_head
        return head

    @property
    def levels(self) -> DdimConfig:
        """See `ReasoningLearner`."""
        return DdimConfig(self._levels)

    def understand(self, batch: Qwen2VlBatch, reason: bool) -> Understood:
        """See `ReasoningLearner`."""
        said = batch.targets.reasoning if reason else None
        length = batch.ids.shape[1]
        hidden, answered = self._hidden(batch, said)
        words = None
        if said is not None:
            before = hidden[:, length - 1 : length - 1 + said.shape[1]]
            words = self._model.backbone.language.lm_head(before, self._rows)
        pooled = self._model.film(hidden, _ranges(batch.prompt, answered))
        state = None if batch.state is None else batch.state.to(pooled.dtype)
        return Understood(self._model.policy_head.encode_condition(pooled, state), words)

    def _hidden(self, batch: Qwen2VlBatch, said: Tensor | None) -> tuple[Tensor, Tensor]:
        """Hidden states `[B, P + R, W]`, and where an answer is, bool `[B, R]`."""
        language = self._model.backbone.language
        embedded, answered = self._embedded(batch), batch.prompt[:, :0]
        if said is not None:
            answered = said >= 0
            embedded = torch.cat([embedded, language.embed(said.clamp_min(0))], dim=1)
        length = embedded.shape[1]
        real = torch.cat([batch.prompt, answered], dim=1)
        earlier = torch.ones(length, length, dtype=torch.bool, device=embedded.device).tril()
        itself = torch.eye(length, dtype=torch.bool, device=embedded.device)
        mask = (earlier & real.unsqueeze(1)) | itself
        return language.trunk(embedded, mask, batch.positions[..., :length]), answered

    def _embedded(self, batch: Qwen2VlBatch) -> Tensor:
        """Of the prompts, `[B, P, W]`."""
        backbone = self._model.backbone
        embedded = backbone.language.embed(batch.ids)
        features = backbone.features(batch.patches.to(embedded.dtype), batch.grids)
        is_image = (batch.ids == self._image_token).unsqueeze(-1)
        return embedded.masked_scatter(is_image, features.to(embedded.dtype))


def _ranges(prompt: Tensor, answered: Tensor) -> TokenRanges:
    """Of `[B, P + R]`; the last word of an answer is in neither."""
    read = answered.clone()
    read[:, :-1] = answered[:, :-1] & answered[:, 1:]
    read[:, -1:] = False
    return TokenRanges(
        prompt=torch.cat([prompt, torch.zeros_like(answered)], dim=1),
        reasoning=torch.cat([torch.zeros_like(prompt), read], dim=1),
    )
