"""LLaDA-VLA's network: an observation to logits over the 32 action tokens at each place of the canvas.

Sequence: the chat up to the answer's head with an image's features where the image stands, then the canvas; positions
count on through both. Logits at a place are those of the token in that place. Several images stand one behind another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from dvla_ros.control.observation import Observation
from dvla_ros.denoising.canvas import Canvas, Segment
from dvla_ros.errors import ConfigurationError, ObservationError
from dvla_ros.models.attention import Block, Levels, attention_mask
from dvla_ros.models.head import TokenRows
from dvla_ros.models.llada_v import LladaV
from dvla_ros.models.trunk import PrefixCache
from dvla_ros.policies.published.llada_v_action_tokens import ActionTokens
from dvla_ros.policies.published.llada_v_images import TileCutter, Tiles
from dvla_ros.policies.token_system import ACTION
from dvla_ros.preprocessing.llada_prompt import END_OF_TURN, MASK, LladaPrompt

LladaVAttention = Literal["full", "block_causal"]


@dataclass(frozen=True)
class LladaVInputs:
    """One observation as tensors.

    Attributes:
        images: Tiles of each camera's image.
        before: Token ids int64 `[L]` before the images.
        after: Those behind them: the instruction and the head of the answer.
        behind_instruction: How many of `after` follow the instruction.
    """

    images: tuple[Tiles, ...]
    before: Tensor
    after: Tensor
    behind_instruction: int


@dataclass(frozen=True)
class LladaVContext:
    """What does not depend on the canvas.

    Attributes:
        embedded: The prompt as the trunk takes it, `[1, P, W]`.
        cache: Keys and values of the prompt; None where it sees the canvas and has none of its own.
        last_word: Position of the instruction's last token.
    """

    embedded: Tensor
    cache: PrefixCache | None
    last_word: int


class LladaVNetwork:
    """A `TokenNetwork`, `Probed`.

    Args:
        model: With its weights, on its device.
        prompt: Instruction to token ids.
        cameras: Names, in the order of their images in the prompt; more than one are padded to squares instead of what
            `config.json` says, as in the released training code.
        shape: Rows and columns of a chunk, (H, D).
        actions: The action tokens.
        attention: Who sees whom.
        turned: Turn every image by 180 degrees first.

    Attributes:
        device: Where it runs.

    Raises:
        ConfigurationError: There is no such attention.
    """

    def __init__(
        self,
        model: LladaV,
        prompt: LladaPrompt,
        *,
        cameras: tuple[str, ...],
        shape: tuple[int, int],
        actions: ActionTokens,
        attention: LladaVAttention = "full",
        turned: bool = False,
    ) -> None:
        if attention not in get_args(LladaVAttention):
            raise ConfigurationError(f"LLaDA-V's attention is one of {get_args(LladaVAttention)}, got {attention!r}.")
        self.model = model.eval()
        self._words = model.language_model
        self._words.trunk.pack()
        self._prompt = prompt
        self._cameras = cameras
        self._attention = attention
        form = model.config.images
        form = form if len(cameras) == 1 else replace(form, aspect="pad")
        self._cut = TileCutter(form, model.config.vision.image_size, turned)
        self._canvas = Canvas((Segment(ACTION, *shape, actions.size),))
        self._rows = TokenRows.of(actions.ids)
        self.device = self._words.embed_tokens.weight.device
        self._ids = torch.tensor([*actions.ids, MASK], device=self.device)

    @property
    def canvas(self) -> Canvas:
        """One segment, a token for each number of the chunk."""
        return self._canvas

    @property
    def prompt_sees_canvas(self) -> bool:
        """Whether a position of the prompt is to see the canvas."""
        return self._attention == "full"

    def prepare(self, observation: Observation) -> LladaVInputs:
        """See `TokenNetwork.prepare`; the state is not looked at."""
        if missing := [name for name in self._cameras if name not in observation.images]:
            raise ObservationError(
                f"The policy needs the cameras {list(self._cameras)}; {missing} are missing. Name the robot's cameras "
                "in the deployment file: cameras."
            )
        if not observation.instruction.strip():
            raise ObservationError("The instruction is empty; say what to do, e.g. 'pick up the red cube'.")
        words = self._prompt(observation.instruction.strip())
        before, after = (torch.tensor(ids, device=self.device) for ids in (words.before_image, words.after_image))
        images = tuple(self._cut(observation.images[name], name).to(self.device) for name in self._cameras)
        return LladaVInputs(images, before, after, len(after) - words.after_image.index(END_OF_TURN))

    def prefill(self, inputs: LladaVInputs, frozen: np.ndarray) -> LladaVContext:
        """See `TokenNetwork.prefill`; frozen rows are tokens of the canvas and nothing else."""
        images = [self.model.image_features(image.pixels, image.width, image.height) for image in inputs.images]
        embedded = torch.cat([self._words.embed(inputs.before), *images, self._words.embed(inputs.after)])[None]
        cache = None if self.prompt_sees_canvas else self._words.trunk.prefill(embedded)
        return LladaVContext(embedded, cache, embedded.shape[1] - inputs.behind_instruction - 1)

    def logits(self, context: LladaVContext, tokens: Tensor) -> Tensor:
        """Logits `[B, L, V]` for canvases int64 `[B, L]`."""
        return self._words.lm_head(self._hidden(context, tokens), self._rows)

    def prompt_hidden(self, context: LladaVContext, tokens: Tensor) -> Tensor:
        """Last hidden state `[B, W]` of the instruction's last token, everything run with canvases int64 `[B, L]`."""
        prompt, canvas = context.embedded.shape[1], tokens.shape[1]
        levels = Levels.of([Block(prompt, 0), Block(canvas, 1)], self.device)
        mask = attention_mask(levels, self._attention)
        hidden: Tensor = self._words.trunk(self._everything(context, tokens), mask)
        return hidden[:, context.last_word]

    def token_table(self) -> Tensor:
        """Embeddings `[V, W]` of the action tokens."""
        return self._words.embed_tokens.weight.detach()[self._ids[:-1]]

    def imagined(self, context: LladaVContext, tokens: np.ndarray) -> Mapping[str, np.ndarray]:
        """Nothing: the canvas shows no images."""
        return {}

    def keypoints(self, context: LladaVContext) -> Mapping[str, np.ndarray]:
        """Nothing: the network has none."""
        return {}

    def _hidden(self, context: LladaVContext, tokens: Tensor) -> Tensor:
        if context.cache is None:
            everything: Tensor = self._words.trunk(self._everything(context, tokens))
            return everything[:, context.embedded.shape[1] :]
        cache = context.cache if len(tokens) == 1 else context.cache.repeat(len(tokens))
        return self._words.trunk.decode(self._words.embed(self._ids[tokens]), cache)

    def _everything(self, context: LladaVContext, tokens: Tensor) -> Tensor:
        prompt = context.embedded.expand(len(tokens), -1, -1)
        return torch.cat([prompt, self._words.embed(self._ids[tokens])], dim=1)
