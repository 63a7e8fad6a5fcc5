"""From an observation to what the small networks read."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from dvla_ros.actions.normalization import Normalizer
from dvla_ros.control.observation import Observation
from dvla_ros.errors import ObservationError
from dvla_ros.models.perception import PerceptionConfig
from dvla_ros.models.text import SentenceEncoder
from dvla_ros.policies.device_copy import to_device


@dataclass(frozen=True)
class Inputs:
    """One observation as tensors, or several of them: B of each.

    Attributes:
        images: uint8 `[B, C, 3, h, w]` RGB.
        text: Token embeddings `[B, T, 384]`.
        state: Normalised state `[B, S]`.
    """

    images: Tensor
    text: Tensor
    state: Tensor

    @classmethod
    def joined(cls, inputs: "Sequence[Inputs]") -> "Inputs":
        """Those of several observations, in their order."""
        if len(inputs) == 1:
            return inputs[0]
        images, text, state = zip(*((each.images, each.text, each.state) for each in inputs), strict=True)
        return cls(torch.cat(images), torch.cat(text), torch.cat(state))


class ObservationProcessor:
    """Averages images down, normalises the state and encodes the sentence; refuses what is unusable.

    Args:
        sizes: What the network reads.
        cameras: Camera names, in the network's order.
        state_normalizer: Of the state.
        device: Where the tensors go.
    """

    def __init__(
        self, sizes: PerceptionConfig, cameras: tuple[str, ...], state_normalizer: Normalizer, device: torch.device
    ) -> None:
        self._sizes, self._cameras, self._device = sizes, cameras, device
        self._state_normalizer = state_normalizer
        self._text = SentenceEncoder(sizes.text_tokens)

    def __call__(self, observation: Observation) -> Inputs:
        """Prepare one observation.

        Raises:
            ObservationError: A camera is missing, or an image, the state or the instruction is unusable.
        """
        if missing := [name for name in self._cameras if name not in observation.images]:
            raise ObservationError(f"The policy needs the cameras {self._cameras}; {missing} are missing.")
        if not observation.instruction.strip():
            raise ObservationError("The instruction is empty; say what to do, e.g. 'pick up the red cube'.")
        if observation.state.shape != (self._sizes.state_dim,) or not np.isfinite(observation.state).all():
            expected = f"{self._sizes.state_dim} finite numbers"
            raise ObservationError(f"The state must be {expected}, got {observation.state}.")
        images = np.stack([self._resized(name, observation.images[name]) for name in self._cameras])
        # The images first: their copies go on while the sentence is read.
        pixels = to_device(torch.from_numpy(images), self._device).permute(0, 3, 1, 2)
        state = torch.from_numpy(self._state_normalizer.normalize(observation.state)).float()
        text = self._text.encode(observation.instruction)
        return Inputs(pixels[None], to_device(text, self._device)[None], to_device(state, self._device)[None])

    def _resized(self, name: str, image: np.ndarray) -> np.ndarray:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ObservationError(
                f"Camera {name} must give uint8 [H, W, 3] RGB, got {image.dtype} {list(image.shape)}."
            )
        size = (self._sizes.image_width, self._sizes.image_height)
        if (image.shape[1], image.shape[0]) == size:
            return image
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
