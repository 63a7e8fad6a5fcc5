"""A network of the real kind at a size that tests can afford."""

import pytest
import torch

from dvla_ros.models.canvas_io import SegmentSizes
from dvla_ros.models.perception import PerceptionConfig
from dvla_ros.models.small_vla import SmallVla, SmallVlaConfig

torch.set_num_threads(1)  # small matrices: more threads only wait for each other

PERCEPTION = PerceptionConfig(image_width=32, image_height=24, text_tokens=5, width=24, keypoints=4)


@pytest.fixture
def model():
    torch.manual_seed(0)
    segments = (SegmentSizes("action", 3, 7, 16),)
    return SmallVla(SmallVlaConfig(PERCEPTION, heads=3, layers=3, horizon=3, segments=segments)).eval()


@pytest.fixture
def observation():
    """Images, text and state of two observations."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (2, 2, 3, PERCEPTION.image_height, PERCEPTION.image_width), generator=generator)
    text = torch.randn(2, PERCEPTION.text_tokens, 384, generator=generator)
    return images.to(torch.uint8), text, torch.rand(2, 7, generator=generator) * 2 - 1
