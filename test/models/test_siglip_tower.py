"""The tower gives what `transformers`' SigLIP gives before its last layer."""

import pytest
import torch
from torch import Tensor
from transformers import SiglipVisionConfig, SiglipVisionModel

from dvla_ros.errors import CheckpointError
from dvla_ros.models.siglip_tower import SiglipSizes, SiglipTower

SIZES = SiglipSizes(width=24, layers=4, heads=3, intermediate=40, image_size=32, patch_size=9)


def theirs() -> SiglipVisionModel:
    torch.manual_seed(0)
    model = SiglipVisionModel(
        SiglipVisionConfig(
            hidden_size=24,
            num_hidden_layers=4,
            num_attention_heads=3,
            intermediate_size=40,
            image_size=32,
            patch_size=9,
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.2)
    return model.eval()


def pixels() -> Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("whole", [False, True])
@torch.no_grad()
def test_features_are_the_second_to_last_hidden_state(whole: bool):
    reference = theirs()
    expected = reference(pixels(), output_hidden_states=True).hidden_states[-2]
    state = reference.state_dict()
    if not whole:
        state = {name: value for name, value in state.items() if not name.startswith(("encoder.layers.3.", "head."))}
    tower = SiglipTower(SIZES, whole).eval()
    tower.vision_model.load_state_dict(state)
    features = tower(pixels())
    assert features.shape == (2, SIZES.patches, 24) and SIZES.side == 3
    assert (features - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_a_tower_has_no_buffer_that_weights_would_have_to_bring():
    assert list(SiglipTower(SIZES).named_buffers()) == []


def test_default_sizes_are_so400m_384():
    sizes = SiglipSizes.from_json({})
    assert (sizes.width, sizes.layers, sizes.heads, sizes.intermediate) == (1152, 27, 16, 4304)
    assert (sizes.image_size, sizes.patch_size, sizes.patches) == (384, 14, 729)


def test_sizes_are_read_from_a_tower_with_a_text_tower_beside_it():
    vision = {"model_type": "siglip_vision_model", "hidden_size": 32, "num_attention_heads": 4}
    assert SiglipSizes.from_json({"model_type": "siglip", "vision_config": vision}).width == 32


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "clip_vision_model"}, "clip_vision_model"),
        ({"hidden_size": "wide"}, "hidden_size must be 1 or more, got 'wide'"),
        ({"num_attention_heads": 7}, "multiple of num_attention_heads"),
        ({"num_hidden_layers": 1}, "2 layers or more"),
    ],
)
def test_a_wrong_tower_is_refused(values: dict[str, object], message: str):
    with pytest.raises(CheckpointError, match=message):
        SiglipSizes.from_json(values)
