"""Emu3 as the objectives of UD-VLA and DFM-VLA see it."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from dvla_ros.models.emu3 import VISUAL
from dvla_ros.models.emu3_vq import Emu3Vq
from dvla_ros.models.language_model import LanguageModel
from dvla_ros.models.perception import Percept
from dvla_ros.policies.published.emu3_layout import Emu3Setup
from dvla_ros.policies.published.emu3_network import Emu3Network
from dvla_ros.policies.published.emu3_sequence import Emu3Sequence
from dvla_ros.policies.token_system import ACTION
from dvla_ros.preprocessing.emu3_tokenizer import BOA, BOI, EOI
from dvla_ros.training.published.emu3_examples import Emu3Batch
from dvla_ros.training.published.padded_run import PaddedRun, Prompts, joined_padding


class Emu3Learner:
    """A `TokenLearner`; a row is `[padding][BOS text][images] | [future images][BOA actions]`, see `Emu3Sequence`.

    The logits of a place are those of the position before it. The image tokenizer is not trained and lies outside of
    `module`; what it says of a batch is put into it by `completed`.

    Args:
        setup: The checkpoint.
        network: Its networks.

    Attributes:
        module: All that may be trained.
        never_run: As of `PrismaticLearner`: nothing.
    """

    never_run = ""

    def __init__(self, setup: Emu3Setup, network: Emu3Network) -> None:
        self.module = nn.ModuleDict({"model": network.model})
        self._vision: Emu3Vq = network.vision
        self._sequence, self._attention = setup.sequence, setup.attention
        self._ids = setup.sequence.emu3_ids()
        lengths = torch.tensor([segment.length for segment in setup.sequence.canvas.segments])
        self._segment_of = torch.arange(len(lengths)).repeat_interleave(lengths)

    @property
    def _model(self) -> LanguageModel:
        model = self.module["model"]
        assert isinstance(model, LanguageModel)
        return model

    @torch.no_grad()
    def completed(self, batch: Emu3Batch) -> Emu3Batch:
        """The batch with codes in place of its images, and with whole canvases to be answered."""
        codes = self._codes(batch.images)
        futures = self._codes(batch.futures) if batch.futures else {}
        return with_image_codes(self._sequence, batch, codes, futures)

    def prefix(self, batch: Emu3Batch, times: int = 1) -> PaddedRun:
        """See `TokenLearner`; the batch is completed."""
        assert batch.codes is not None, "complete the batch first"
        sequence, text = self._sequence, batch.text.shape[1]
        embedded = self._model.embed(torch.cat([batch.text, batch.codes], dim=1))
        padding = joined_padding(batch.padding, batch.codes.shape[1])
        length = embedded.shape[1]
        prompts = Prompts(
            embedded, padding, tuple(sequence.blocks(text)), (length, text + sequence.images_length, text)
        )
        return PaddedRun(self._model.trunk, prompts, self._attention, times)

    def logits(self, prefix: PaddedRun, tokens: Tensor) -> Tensor:
        """See `TokenLearner`; -inf where a segment has no such id or may not choose it."""
        canvas, device = self._sequence.canvas, tokens.device
        embedded = self._model.embed(self._ids.to(device)[self._segment_of.to(device), tokens])
        hidden = prefix.hidden(embedded, self._ends(tokens))[:, :-1]
        parts = hidden.split([segment.length for segment in canvas.segments], dim=1)
        named = zip(canvas.segments, parts, strict=True)
        return torch.cat([self._head(segment.name, part) for segment, part in named], dim=1)

    def percept(self, prefix: PaddedRun) -> Percept | None:
        """See `TokenLearner`: Emu3 says of no point where it is."""
        return None

    def _ends(self, tokens: Tensor) -> Tensor | None:
        """Where a shown EOA ends the canvas, see `Emu3Network`."""
        if not self._sequence.imagines or self._attention == "full":
            return None
        last = len(self._sequence.canvas.segments) - 1
        return (tokens == self._sequence.eoa) & (self._segment_of.to(tokens.device) == last)

    def _head(self, segment: str, hidden: Tensor) -> Tensor:
        head = self._model.lm_head
        if segment == ACTION:
            own = self._sequence.action_logits(head(hidden, self._sequence.action_rows))
        else:
            own = head(hidden, self._sequence.image_rows)
        missing = self._sequence.canvas.vocabulary - own.shape[-1]
        return functional.pad(own, (0, missing), value=-torch.inf) if missing else own

    def _codes(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(zip(images, self._vision.encode_all(list(images.values())), strict=True))


def with_image_codes(
    sequence: Emu3Sequence, batch: Emu3Batch, codes: Mapping[str, Tensor], futures: Mapping[str, Tensor]
) -> Emu3Batch:
    """A batch with the codes int64 `[B, rows, columns]` of its images."""
    ids = [grid.segment_ids(codes[grid.camera]) for grid in sequence.grids]
    targets = batch.targets
    if not sequence.imagines:
        ids.append(batch.text.new_full((len(batch), 1), BOA))
    else:
        assert targets.tokens is not None
        coming = [_canvas_ids(sequence, grid.segment_ids(futures[grid.camera])) for grid in sequence.grids]
        begin = targets.tokens.new_full((len(batch), 1), sequence.eoa + 1)
        targets = replace(targets, tokens=torch.cat([*coming, begin, targets.tokens], dim=1))
    return replace(batch, images={}, futures={}, codes=torch.cat(ids, dim=1), targets=targets)


def _canvas_ids(sequence: Emu3Sequence, ids: Tensor) -> Tensor:
    """The canvas' own ids of an image in Emu3's."""
    order = (*sequence.image_ids[len(VISUAL) :], BOI, EOI)
    own = ids - VISUAL.start
    for place, emu3 in enumerate(order):
        own = torch.where(ids == emu3, len(VISUAL) + place, own)
    return own
