"""The small vision-language-action network: instructed keypoints, one trunk, a head over action tokens.

Keypoints of the sentence's object and goal are triangulated to points in space, and the way from the gripper to each is
given to the trunk as a token: a small network need not learn to subtract.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.text import WIDTH as TEXT_WIDTH
from dvla_ros.models.trunk import PrefixCache, Trunk
from dvla_ros.models.vision import FREQUENCIES, STRIDE, InstructedKeypoints, Stem, waves

POINTS = 2
"""What a sentence speaks of: an object, and the place it is to go to."""


@dataclass(frozen=True)
class SmallVlaConfig:
    """Sizes of the network.

    Attributes:
        cameras: Number of cameras.
        image_width: Pixels; a multiple of 8.
        image_height: Pixels; a multiple of 8.
        text_tokens: Length of a sentence.
        state_dim: Numbers in the state.
        horizon: Rows of a chunk, H.
        action_dim: Columns of a chunk, D.
        vocabulary: Action tokens V, without the mask token.
        width: Width of the trunk.
        heads: Attention heads.
        layers: Blocks of the trunk.
        keypoints: Keypoints per camera, 2 or more.
    """

    cameras: int = 2
    image_width: int = 128
    image_height: int = 96
    text_tokens: int = 16
    state_dim: int = 7
    horizon: int = 8
    action_dim: int = 7
    vocabulary: int = 256
    width: int = 128
    heads: int = 4
    layers: int = 4
    keypoints: int = 8

    def __post_init__(self) -> None:
        for name in ("image_width", "image_height"):
            if getattr(self, name) % (2 * STRIDE) or getattr(self, name) <= 0:
                raise ConfigurationError(
                    f"{name} must be a positive multiple of {2 * STRIDE}, got {getattr(self, name)}."
                )
        if self.width % self.heads:
            raise ConfigurationError(f"width must be a multiple of heads, got {self.width} and {self.heads}.")
        if self.keypoints < 2 or min(self.cameras, self.horizon, self.action_dim, self.layers) < 1:
            raise ConfigurationError(f"keypoints must be 2 or more and every size 1 or more, got {self}.")


@dataclass(frozen=True)
class Prefix:
    """What the network made of an observation.

    Attributes:
        cache: Keys and values for the canvas.
        positions: (u, v) `[B, C, K, 2]` of each camera's keypoints in 0..1.
        log_places: Log probabilities `[B, C, K, hw]` over the feature grid.
        points: `[B, 2, 3]` where the sentence's object is and where it is to go, in the state's normalised x, y, z.
    """

    cache: PrefixCache
    positions: Tensor
    log_places: Tensor
    points: Tensor


class SmallVla(nn.Module):
    """Observation to prefix, once; prefix and canvas to logits, once per denoising step."""

    def __init__(self, config: SmallVlaConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.stem = Stem()
        self.text = nn.Linear(TEXT_WIDTH, width)
        self.state = nn.Sequential(
            nn.Linear(config.state_dim * (1 + 2 * FREQUENCIES), width), nn.GELU(), nn.Linear(width, width)
        )
        self.keypoints = nn.ModuleList(
            InstructedKeypoints(width, config.keypoints, config.image_height, config.image_width)
            for _ in range(config.cameras)
        )
        prefix_length = config.text_tokens + 1 + config.cameras * config.keypoints + POINTS
        self.prefix_position = nn.Parameter(torch.randn(prefix_length, width) * 0.02)
        self.locate = nn.Sequential(
            nn.Linear((1 + POINTS * config.cameras) * width, 2 * width), nn.GELU(), nn.Linear(2 * width, POINTS * 3)
        )
        self.reach = nn.Sequential(nn.Linear(3 * (1 + 2 * FREQUENCIES), width), nn.GELU(), nn.Linear(width, width))
        self.token = nn.Embedding(config.vocabulary + 1, width)
        self.step = nn.Parameter(torch.randn(config.horizon, 1, width) * 0.1)
        self.dim = nn.Parameter(torch.randn(1, config.action_dim, width) * 0.3)
        self.trunk = Trunk(width, config.heads, config.layers)
        self.head = nn.Linear(width, config.vocabulary)
        self._smooth_tokens()
        self.stem.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def _smooth_tokens(self) -> None:
        """Start from embeddings in which neighbouring bins resemble each other; the mask token keeps its own."""
        centres = torch.linspace(-1.0, 1.0, self.config.vocabulary).unsqueeze(1)
        basis = torch.cat([centres, waves(centres)], dim=1)
        mixing = torch.randn(basis.shape[1], self.config.width) * 0.3 / basis.shape[1] ** 0.5
        self.token.weight[:-1] = basis @ mixing
        self.token.weight[-1] = torch.randn(self.config.width) * 0.1

    def prefill(self, images: Tensor, text: Tensor, state: Tensor) -> Prefix:
        """Encode an observation.

        Args:
            images: uint8 `[B, C, 3, h, w]` RGB.
            text: Token embeddings `[B, T, 384]`.
            state: Normalised state `[B, S]`, about -1..1.
        """
        batch, cameras = images.shape[:2]
        features = self.stem(images.flatten(0, 1)).unflatten(0, (batch, cameras))
        words = self.text(text)
        body = self.state(torch.cat([state, waves(state)], dim=-1))
        answers = [ask(features[:, i], words, body) for i, ask in enumerate(self.keypoints)]
        tokens, positions, log_places = zip(*answers, strict=True)
        points = self._locate(body, tokens)
        away = points - state[:, None, :3]
        reach = self.reach(torch.cat([away, waves(away)], dim=-1))
        prefix = torch.cat([body.unsqueeze(1), *tokens, words, reach], dim=1) + self.prefix_position
        cache = self.trunk.prefill(prefix)
        return Prefix(cache, torch.stack(positions, 1), torch.stack(log_places, 1), points)

    def _locate(self, body: Tensor, tokens: Sequence[Tensor]) -> Tensor:
        """Triangulate the two supervised keypoints of all cameras: `[B, 2, 3]`."""
        seen = torch.cat([body, *(t[:, :POINTS].flatten(1) for t in tokens)], dim=-1)
        return self.locate(seen).unflatten(-1, (POINTS, 3))

    def logits(self, cache: PrefixCache, tokens: Tensor) -> Tensor:
        """Logits `[B, L, V]` over action tokens for canvases int64 `[B, L]`, L = H * D row-major."""
        place = (self.step + self.dim).flatten(0, 1)
        answer: Tensor = self.head(self.trunk.decode(self.token(tokens) + place, cache))
        return answer
