"""LLaDA-VLA's network: an observation to logits over the 32 action tokens at each place of the canvas.

Sequence: the chat up to the answer's head with an image's features where the image stands, then the canvas; positions
count on through both. Logits at a place are those of the token in that place. Several images stand one behind another.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from dvla_ros.control.observation import Observation
from dvla_ros.denoising.canvas import Canvas, Segment
from dvla_ros.engine.cache_plan import EXACT
from dvla_ros.engine.graphs import StepGraphs
from dvla_ros.engine.sequence_run import SequenceRun, open_run
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
        run: The denoising steps behind it.
        last_word: Position of the instruction's last token.
    """

    embedded: Tensor
    run: SequenceRun
    last_word: int


class LladaVNetwork:
    """A `BatchNetwork`, `Probed`.

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
        cache: See `TokenNetwork`.
        graphs: Likewise.
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
        self.cache = EXACT
        self.graphs: StepGraphs | None = None
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
        # The images first: their copies go on while the sentence is read.
        images = tuple(self._cut(observation.images[name], name).to(self.device) for name in self._cameras)
        words = self._prompt(observation.instruction.strip())
        before, after = (torch.tensor(ids, device=self.device) for ids in (words.before_image, words.after_image))
        return LladaVInputs(images, before, after, len(after) - words.after_image.index(END_OF_TURN))

    def prefill(self, inputs: LladaVInputs, frozen: np.ndarray) -> LladaVContext:
        """See `TokenNetwork.prefill`; frozen rows are tokens of the canvas and nothing else."""
        return self.prefill_batch([inputs], [frozen])

    def alike(self, inputs: LladaVInputs) -> Hashable:
        """See `BatchNetwork`: those with as many words before and behind images that are cut alike."""
        images = tuple((image.pixels.shape, image.width, image.height) for image in inputs.images)
        return len(inputs.before), len(inputs.after), inputs.behind_instruction, images

    def prefill_batch(self, inputs: Sequence[LladaVInputs], frozen: Sequence[np.ndarray]) -> LladaVContext:
        """See `BatchNetwork`."""
        features = self.model.vision_features([image.pixels for each in inputs for image in each.images])
        of_each = [features[i : i + len(self._cameras)] for i in range(0, len(features), len(self._cameras))]
        embedded = torch.stack([self._embedded(*pair) for pair in zip(inputs, of_each, strict=True)])
        if self.prompt_sees_canvas:
            settled, rest = PrefixCache(), embedded
        else:
            settled, rest = self._words.trunk.prefill(embedded), embedded[:, :0]
        run = open_run(self._words.trunk, settled, rest, self.cache, self.graphs)
        return LladaVContext(embedded, run, embedded.shape[1] - inputs[0].behind_instruction - 1)

    def _embedded(self, inputs: LladaVInputs, features: Sequence[Tensor]) -> Tensor:
        """What stands before the canvas, `[P, W]`, from the features of each image's tiles."""
        named = zip(inputs.images, features, strict=True)
        images = [self.model.joined_features(tiles, image.width, image.height) for image, tiles in named]
        return torch.cat([self._words.embed(inputs.before), *images, self._words.embed(inputs.after)])

    def logits(self, context: LladaVContext, tokens: Tensor) -> Tensor:
        """Logits `[B, L, V]` for canvases int64 `[B, L]`."""
        hidden = context.run.hidden(self._words.embed(self._ids[tokens]))
        return self._words.lm_head(hidden, self._rows)

    def prompt_hidden(self, context: LladaVContext, tokens: Tensor) -> Tensor:
        """Last hidden state `[B, W]` of the instruction's last token, everything run with canvases int64 `[B, L]`."""
        prompt, canvas = context.embedded.shape[1], tokens.shape[1]
        levels = Levels.of([Block(prompt, 0), Block(canvas, 1)], self.device)
        mask = attention_mask(levels, self._attention)
        everything = [context.embedded.expand(len(tokens), -1, -1), self._words.embed(self._ids[tokens])]
        hidden: Tensor = self._words.trunk(torch.cat(everything, dim=1), mask)
        return hidden[:, context.last_word]

    def token_table(self) -> Tensor:
        """Embeddings `[V, W]` of the action tokens."""
        return self._words.embed_tokens.weight.detach()[self._ids[:-1]]

    def imagined(self, context: LladaVContext, tokens: np.ndarray) -> Mapping[str, np.ndarray]:
        """Nothing: the canvas shows no images."""
        return {}

    def keypoints(self, context: LladaVContext, row: int = 0) -> Mapping[str, np.ndarray]:
        """Nothing: the network has none."""
        return {}
