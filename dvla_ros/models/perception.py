"""What a small model makes of an observation: instructed keypoints, their places in space, the words and the body.

Keypoints of the sentence's object and goal are triangulated to points in space, and the way from the gripper to each is
given as a token: a small network need not learn to subtract.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.text import WIDTH as TEXT_WIDTH
from dvla_ros.models.vision import FREQUENCIES, STRIDE, InstructedKeypoints, Stem, waves

POINTS = 2
"""What a sentence speaks of: an object, and the place it is to go to."""


@dataclass(frozen=True)
class PerceptionConfig:
    """Sizes of the perception.

    Attributes:
        cameras: Number of cameras.
        image_width: Pixels; a multiple of 8.
        image_height: Pixels; a multiple of 8.
        text_tokens: Length of a sentence.
        state_dim: Numbers in the state.
        width: Width of its tokens, and of the trunk that reads them.
        keypoints: Keypoints per camera, 2 or more.
        ways_after_frozen: Whether the ways to the points begin where the frozen rows of the chunk lead to, and not
            where the gripper is: the first row that is to be decided always has the whole way before it. VLASH (arXiv
            2512.01031) rolls the whole state forward for the same reason.
    """

    cameras: int = 2
    image_width: int = 128
    image_height: int = 96
    text_tokens: int = 16
    state_dim: int = 7
    width: int = 128
    keypoints: int = 8
    ways_after_frozen: bool = False

    def __post_init__(self) -> None:
        for name in ("image_width", "image_height"):
            if getattr(self, name) % (2 * STRIDE) or getattr(self, name) <= 0:
                raise ConfigurationError(
                    f"{name} must be a positive multiple of {2 * STRIDE}, got {getattr(self, name)}."
                )
        if self.keypoints < 2 or min(self.cameras, self.text_tokens, self.state_dim, self.width) < 1:
            raise ConfigurationError(f"keypoints must be 2 or more and every size 1 or more, got {self}.")

    @property
    def length(self) -> int:
        """Number of tokens P: body, keypoints, words, ways to the points."""
        return 1 + self.cameras * self.keypoints + self.text_tokens + POINTS


@dataclass(frozen=True)
class Percept:
    """An observation, perceived.

    Attributes:
        tokens: `[B, P, width]`.
        positions: (u, v) `[B, C, K, 2]` of each camera's keypoints in 0..1.
        log_places: Log probabilities `[B, C, K, hw]` over the feature grid.
        points: `[B, 2, 3]` where the sentence's object is and where it is to go, in the state's normalised x, y, z.
    """

    tokens: Tensor
    positions: Tensor
    log_places: Tensor
    points: Tensor


class Perception(nn.Module):
    """Images, words and state to tokens."""

    def __init__(self, config: PerceptionConfig) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.stem = Stem()
        self.text = nn.Linear(TEXT_WIDTH, width)
        self.state = nn.Sequential(
            nn.Linear(config.state_dim * (1 + 2 * FREQUENCIES), width), nn.GELU(), nn.Linear(width, width)
        )
        self.keypoints = nn.ModuleList(
            InstructedKeypoints(width, config.keypoints, config.image_height, config.image_width)
            for _ in range(config.cameras)
        )
        self.locate = nn.Sequential(
            nn.Linear((1 + POINTS * config.cameras) * width, 2 * width), nn.GELU(), nn.Linear(2 * width, POINTS * 3)
        )
        self.reach = nn.Sequential(nn.Linear(3 * (1 + 2 * FREQUENCIES), width), nn.GELU(), nn.Linear(width, width))
        self.position = nn.Parameter(torch.randn(config.length, width) * 0.02)
        self.stem.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor, text: Tensor, state: Tensor, moved: Tensor | None = None) -> Percept:
        """Perceive.

        Args:
            images: uint8, or float in 0..255, `[B, C, 3, h, w]` RGB.
            text: Token embeddings `[B, T, 384]`.
            state: Normalised state `[B, S]`, about -1..1.
            moved: How far frozen rows will take the gripper, `[B, 3]` in the normalised state's x, y, z; None: nowhere.
        """
        batch, cameras = images.shape[:2]
        features = self.stem(images.flatten(0, 1)).unflatten(0, (batch, cameras))
        words = self.text(text)
        body = self.state(torch.cat([state, waves(state)], dim=-1))
        answers = [ask(features[:, i], words, body) for i, ask in enumerate(self.keypoints)]
        tokens, positions, log_places = zip(*answers, strict=True)
        points = self._locate(body, tokens)
        start = state[:, :3] if moved is None or not self.config.ways_after_frozen else state[:, :3] + moved
        away = points - start.unsqueeze(1)
        reach = self.reach(torch.cat([away, waves(away)], dim=-1))
        seen = torch.cat([body.unsqueeze(1), *tokens, words, reach], dim=1) + self.position
        return Percept(seen, torch.stack(positions, 1), torch.stack(log_places, 1), points)

    def _locate(self, body: Tensor, tokens: Sequence[Tensor]) -> Tensor:
        """Triangulate the two supervised keypoints of all cameras: `[B, 2, 3]`."""
        seen = torch.cat([body, *(t[:, :POINTS].flatten(1) for t in tokens)], dim=-1)
        located: Tensor = self.locate(seen).unflatten(-1, (POINTS, 3))
        return located
