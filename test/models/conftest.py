"""A network of the real kind at a size that tests can afford."""

import pytest
import torch

from dvla_ros.models.small_vla import SmallVla, SmallVlaConfig

torch.set_num_threads(1)  # small matrices: more threads only wait for each other


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = SmallVlaConfig(
        image_width=32,
        image_height=24,
        text_tokens=5,
        horizon=3,
        vocabulary=16,
        width=24,
        heads=3,
        layers=3,
        keypoints=4,
    )
    return SmallVla(config).eval()


@pytest.fixture
def observation(model):
    """Images, text and state of two observations."""
    generator = torch.Generator().manual_seed(1)
    config = model.config
    images = torch.randint(0, 256, (2, 2, 3, config.image_height, config.image_width), generator=generator)
    text = torch.randn(2, config.text_tokens, 384, generator=generator)
    return images.to(torch.uint8), text, torch.rand(2, 7, generator=generator) * 2 - 1
