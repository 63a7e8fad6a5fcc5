"""Prismatic as the objectives of Discrete Diffusion VLA see it."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from dvla_ros.models.attention import Block
from dvla_ros.models.head import TokenRows
from dvla_ros.models.perception import Percept
from dvla_ros.models.prismatic import Prismatic
from dvla_ros.policies.published.prismatic_layout import PrismaticSetup
from dvla_ros.policies.published.prismatic_network import PrismaticNetwork
from dvla_ros.preprocessing.openvla_prompt import BOS, EOS, SPACE
from dvla_ros.training.published.padded_run import PaddedRun, Prompts
from dvla_ros.training.published.prismatic_examples import PrismaticBatch

_AROUND_CANVAS = 2
"""29871 before it and EOS behind it."""


class PrismaticLearner:
    """A `TokenLearner`.

    The sequence of a row is `[padding][BOS][patches][state][question] | [29871][actions][EOS]`.

    Args:
        setup: The checkpoint.
        network: Its networks.

    Attributes:
        module: All that may be trained.
        never_run: Regular expression: names in it of what takes part in nothing, as the towers' last blocks.
    """

    def __init__(self, setup: PrismaticSetup, network: PrismaticNetwork) -> None:
        config = setup.config
        parts: dict[str, nn.Module] = {"model": network.model}
        if network.projector is not None:
            parts["projector"] = network.projector
        self.module = nn.ModuleDict(parts)
        first, second = (rf"{tower.depth - 1}" for tower in config.towers)
        self.never_run = (
            rf"model\.vision_backbone\.(\w+\.(norm|attn_pool)|featurizer\.blocks\.{first}"
            rf"|fused_featurizer\.blocks\.{second})\..*"
        )
        self._length, self._attention = setup.codec.length, setup.attention
        self._rows = TokenRows.of(config.action_ids)
        self._all_rows = TokenRows.of(range(config.vocabulary))
        self._ids = torch.tensor([*reversed(config.action_ids), config.mask_token])

    @property
    def _model(self) -> Prismatic:
        model = self.module["model"]
        assert isinstance(model, Prismatic)
        return model

    def prefix(self, batch: PrismaticBatch, times: int = 1) -> PaddedRun:
        """See `TokenLearner`."""
        language = self._model.language_model
        dtype = self._model.projector.fc1.weight.dtype
        seen = [self._model.patches(batch.pixels.to(dtype))]
        if batch.state is not None:
            seen.append(self.module["projector"](batch.state.to(dtype))[:, None])
        front = torch.cat([language.embed(batch.question.new_full((len(batch), 1), BOS)), *seen], dim=1)
        embedded, padding = _behind_padding(front, language.embed(batch.question), batch.padding)
        length = embedded.shape[1]
        blocks = (Block(length, 0), Block(self._length + _AROUND_CANVAS, 1))
        return PaddedRun(language.trunk, Prompts(embedded, padding, blocks, (length,)), self._attention, times)

    def logits(self, prefix: PaddedRun, tokens: Tensor) -> Tensor:
        """See `TokenLearner`; each from the position before it."""
        hidden = self._hidden(prefix, tokens)[:, : self._length]
        logits: Tensor = self._model.language_model.lm_head(hidden, self._rows)
        return logits.flip(-1)  # ids fall while bins rise

    def sequence_logits(self, prefix: PaddedRun, tokens: Tensor) -> Tensor:
        """Logits `[B * times, L + 1, 32064]` of the actions and of EOS over the whole vocabulary."""
        hidden = self._hidden(prefix, tokens)[:, : self._length + 1]
        logits: Tensor = self._model.language_model.lm_head(hidden, self._all_rows)
        return logits

    def published_ids(self, tokens: Tensor) -> Tensor:
        """Ids of the vocabulary int64 `[B, L + 1]`, EOS last, of canvases int64 `[B, L]`."""
        return functional.pad(self._ids.to(tokens.device)[tokens], (0, 1), value=EOS)

    def percept(self, prefix: PaddedRun) -> Percept | None:
        """See `TokenLearner`: the network says of no point where it is."""
        return None

    def _hidden(self, prefix: PaddedRun, tokens: Tensor) -> Tensor:
        """From 29871 to EOS, `[B * times, 1 + L + 1, W]`."""
        ids = functional.pad(self.published_ids(tokens), (1, 0), value=SPACE)
        return prefix.hidden(self._model.language_model.embed(ids))[:, 1:]


def _behind_padding(front: Tensor, words: Tensor, padding: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """`[padding][front][words]` from words padded on the left, `[B, P, W]`, and its padding."""
    together = torch.cat([front, words], dim=1)
    if padding is None:
        return together, None
    moved = functional.pad(padding, (front.shape[1], 0))
    order = torch.argsort((~moved).long(), dim=1, stable=True)
    return together.gather(1, order.unsqueeze(-1).expand_as(together)), moved.gather(1, order)
