"""LLaDA-V as the objective of LLaDA-VLA sees it."""

import torch
from torch import Tensor, nn

from dvla_ros.models.attention import Block
from dvla_ros.models.head import TokenRows
from dvla_ros.models.llada_v import LladaV
from dvla_ros.models.perception import Percept
from dvla_ros.policies.published.llada_v_layout import LladaVSetup
from dvla_ros.policies.published.llada_v_network import LladaVNetwork
from dvla_ros.preprocessing.llada_prompt import MASK
from dvla_ros.training.published.llada_v_examples import LladaVBatch
from dvla_ros.training.published.padded_run import PaddedRun, Prompts, padded


class LladaVLearner:
    """A `TokenLearner`; a row is `[padding][chat][images][instruction] | [actions]`, logits of each place its own.

    Args:
        setup: The checkpoint.
        network: Its networks.

    Attributes:
        module: All that may be trained.
        never_run: As of `PrismaticLearner`: the tower's last layer and head.
    """

    def __init__(self, setup: LladaVSetup, network: LladaVNetwork) -> None:
        self.module = nn.ModuleDict({"model": network.model})
        last = setup.config.vision.layers - 1
        self.never_run = rf"model\.vision_tower\..*(post_layernorm|\.head|layers\.{last})\..*"
        if not setup.config.images.unpad:
            self.never_run += r"|model\.image_newline"
        self._length, self._attention = setup.codec.length, setup.attention
        self._rows = TokenRows.of(setup.actions.ids)
        self._ids = torch.tensor([*setup.actions.ids, MASK])

    @property
    def _model(self) -> LladaV:
        model = self.module["model"]
        assert isinstance(model, LladaV)
        return model

    def prefix(self, batch: LladaVBatch, times: int = 1) -> PaddedRun:
        """See `TokenLearner`."""
        embedded, padding = padded(self._embedded(batch))
        length = embedded.shape[1]
        blocks = (Block(length, 0), Block(self._length, 1))
        prompts = Prompts(embedded, padding, blocks, (length,))
        return PaddedRun(self._model.language_model.trunk, prompts, self._attention, times)

    def logits(self, prefix: PaddedRun, tokens: Tensor) -> Tensor:
        """See `TokenLearner`."""
        language = self._model.language_model
        hidden = prefix.hidden(language.embed(self._ids.to(tokens.device)[tokens]))[:, 1:]
        logits: Tensor = language.lm_head(hidden, self._rows)
        return logits

    def percept(self, prefix: PaddedRun) -> Percept | None:
        """See `TokenLearner`: the network says of no point where it is."""
        return None

    def _embedded(self, batch: LladaVBatch) -> list[Tensor]:
        """What stands before each canvas, `[P, W]`."""
        model, rows = self._model, []
        every = [image for images in batch.sizes for image in images]
        tiles = batch.tiles.to(model.language_model.embed_tokens.weight.dtype)
        features = iter(model.vision_features(tiles.split([count for count, _, _ in every])))
        words = model.language_model.embed(batch.words).split([count for pair in batch.counts for count in pair])
        for number, images in enumerate(batch.sizes):
            seen = [model.joined_features(next(features), width, height) for _, width, height in images]
            rows.append(torch.cat([words[2 * number], *seen, words[2 * number + 1]]))
        return rows
