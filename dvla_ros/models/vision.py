"""Seeing what the sentence speaks of: a small convolutional stem and keypoints that the instruction asks for."""

import torch
from torch import Tensor, nn
from torch.nn import functional

FEATURES = 64
STRIDE = 4
_MEAN, _SCALE = 0.45, 0.25


class Stem(nn.Module):
    """Image to features at a quarter of the resolution, with context from an eighth; the cameras share it."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(
            nn.Conv2d(3, 24, 5, stride=2, padding=2), nn.GELU(), nn.Conv2d(24, 48, 3, stride=2, padding=1), nn.GELU()
        )
        self.coarse = nn.Sequential(
            nn.Conv2d(48, 64, 3, stride=2, padding=1), nn.GELU(), nn.Conv2d(64, 64, 3, padding=1), nn.GELU()
        )
        self.merge = nn.Conv2d(48 + 64, FEATURES, 1)

    def forward(self, images: Tensor) -> Tensor:
        """uint8 or float images in 0..255 `[N, 3, h, w]` to features `[N, 64, h/4, w/4]`."""
        pixels = (images.float() / 255.0 - _MEAN) / _SCALE
        fine = self.fine(pixels)
        coarse = functional.interpolate(self.coarse(fine), size=fine.shape[-2:], mode="bilinear", align_corners=False)
        features: Tensor = self.merge(torch.cat([fine, coarse], dim=1))
        return features


class InstructedKeypoints(nn.Module):
    """Each keypoint is a question put by the instruction and answered by one spot of one image.

    The sentence and the state turn learned slots into queries; a query's dot product with the features, through a
    softmax over all places, gives the keypoint's expected position, its spread and the feature found there. The first
    two keypoints of each camera can be supervised: they are where the sentence's object is and where it is to go.
    """

    grid: Tensor

    def __init__(self, width: int, keypoints: int, height: int, image_width: int) -> None:
        super().__init__()
        rows, columns = height // STRIDE, image_width // STRIDE
        self.slots = nn.Parameter(torch.randn(keypoints, width) * 0.5)
        self.listen = nn.MultiheadAttention(width, 4, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.ask = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, FEATURES + 1))
        self.where = nn.Parameter(torch.zeros(FEATURES, rows, columns))
        v, u = torch.meshgrid((torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns, indexing="ij")
        self.register_buffer("grid", torch.stack([u, v], dim=-1).reshape(-1, 2), persistent=False)
        self.tell = nn.Linear(FEATURES + 2 * 2 * FREQUENCIES + 2 + 3, width)

    def forward(self, features: Tensor, text: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Ask one camera.

        Args:
            features: `[B, 64, h, w]`.
            text: `[B, T, width]`.
            state: `[B, width]`.

        Returns:
            Tokens `[B, K, width]`, positions (u, v) `[B, K, 2]` in 0..1, log probabilities of all places `[B, K, hw]`.
        """
        slots = self.slots + state.unsqueeze(1)
        heard, _ = self.listen(slots, text, text, need_weights=False)
        query = self.ask(self.norm(slots + heard))
        flat = (features + self.where).flatten(2)
        sharpness = functional.softplus(query[..., -1:]) / FEATURES**0.5 * 4.0
        log_places = torch.log_softmax(sharpness * (query[..., :-1] @ flat), dim=-1)
        places = log_places.exp()
        position = places @ self.grid
        spread = places @ self.grid.square() - position.square()
        peak = places.amax(dim=-1, keepdim=True)
        found = torch.cat([places @ flat.transpose(1, 2), waves(position), position, spread * 10.0, peak], dim=-1)
        return self.tell(found), position, log_places


FREQUENCIES = 5


def waves(values: Tensor) -> Tensor:
    """Sines and cosines of numbers `[..., n]` at octaves of pi, `[..., n * 2 * FREQUENCIES]`, for fine differences."""
    octaves = torch.pi * 2.0 ** torch.arange(FREQUENCIES, device=values.device, dtype=values.dtype)
    angles = (values.unsqueeze(-1) * octaves).flatten(-2)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
