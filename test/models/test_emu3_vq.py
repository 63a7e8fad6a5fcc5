"""Emu3's vision tokenizer is the published network: names, shapes, codes and pictures."""

import math
import re

import pytest
import torch
from torch import Tensor
from transformers.models.emu3.modeling_emu3 import Emu3VQVAE

from dvla_ros.errors import CheckpointError, ObservationError
from dvla_ros.models.emu3_vq import Emu3Vq, Emu3VqConfig, locate_emu3_vq
from dvla_ros.weights.streaming import expected_tensors, on_meta

SMALL = Emu3VqConfig(ch=32, ch_mult=(1, 2, 2, 4), codebook_size=64)
Shapes = dict[str, list[int]]


def linear(name: str, *shape: int) -> Shapes:
    return {f"{name}.weight": list(shape), f"{name}.bias": [shape[0]]}


def norm(name: str, channels: int) -> Shapes:
    return {f"{name}.weight": [channels], f"{name}.bias": [channels]}


def spatial_norm(name: str, channels: int, codes: int | None) -> Shapes:
    """GroupNorm, in the decoder scaled and shifted by the codes' vectors."""
    if codes is None:
        return norm(name, channels)
    modulation = linear(f"{name}.conv_y", channels, codes, 1, 1) | linear(f"{name}.conv_b", channels, codes, 1, 1)
    return norm(f"{name}.norm_layer", channels) | modulation


def block(name: str, into: int, out: int, codes: int | None = None) -> Shapes:
    shapes = spatial_norm(f"{name}.norm1", into, codes) | spatial_norm(f"{name}.norm2", out, codes)
    shapes |= linear(f"{name}.conv1", out, into, 3, 3) | linear(f"{name}.conv2", out, out, 3, 3)
    return shapes | (linear(f"{name}.nin_shortcut", out, into, 1, 1) if into != out else {})


def attention(name: str, channels: int, codes: int | None = None) -> Shapes:
    shapes = spatial_norm(f"{name}.norm", channels, codes)
    for part in ("q", "k", "v", "proj_out"):
        shapes |= linear(f"{name}.{part}", channels, channels, 1, 1)
    return shapes


def middle(name: str, channels: int, codes: int | None = None) -> Shapes:
    ends = block(f"{name}.block_1", channels, channels, codes) | block(f"{name}.block_2", channels, channels, codes)
    return ends | attention(f"{name}.attn_1", channels, codes)


def temporal_block(name: str, channels: int) -> Shapes:
    shapes: Shapes = {}
    for part in ("1", "2"):
        shapes |= norm(f"{name}.norm{part}", channels)
        shapes |= {f"{name}.norm{part}.running_{kind}": [channels] for kind in ("mean", "var")}
        shapes |= {f"{name}.norm{part}.num_batches_tracked": []}
        shapes |= linear(f"{name}.conv{part}.conv", channels, channels, 3, 3, 3)
    return shapes


def published(config: Emu3VqConfig) -> Shapes:
    """Tensors of the published file from its architecture: MoVQGAN with time, written from its description."""
    widths = [config.ch * factor for factor in config.ch_mult]
    last, z, codes = widths[-1], config.z_channels, config.embed_dim
    halvings = int(math.log2(config.temporal_downsample_factor))
    shapes = {"quantize.embedding.weight": [config.codebook_size, codes]}
    shapes |= linear("quant_conv.conv", codes, z, 3, 1, 1) | linear("post_quant_conv.conv", z, codes, 3, 1, 1)
    for side, first in (("encoder", config.ch), ("decoder", last)):
        for i in range(config.num_res_blocks):
            shapes |= temporal_block(f"{side}.time_res_stack.{i}", z)
        for i in range(halvings):
            depth = 4 if side == "encoder" else 3
            shapes |= linear(f"{side}.time_conv.{i}.conv.conv", z, z, depth, 3, 3)
        shapes |= linear(f"{side}.conv_in", first, 3 if side == "encoder" else z, 3, 3)
        shapes |= middle(f"{side}.mid", last, None if side == "encoder" else codes)

    width = config.ch
    for level, out in enumerate(widths):
        for i in range(config.num_res_blocks):
            shapes |= block(f"encoder.down.{level}.block.{i}", width, out)
            width = out
            if level in config.attn_resolutions:
                shapes |= attention(f"encoder.down.{level}.attn.{i}", out)
        if level < len(widths) - 1:
            shapes |= linear(f"encoder.down.{level}.downsample.conv", out, out, 3, 3)
    shapes |= norm("encoder.norm_out", last) | linear("encoder.conv_out", z, last, 3, 3)

    width = last
    for level in reversed(range(len(widths))):
        out = widths[level]
        for i in range(config.num_res_blocks + 1):
            shapes |= block(f"decoder.up.{level}.block.{i}", width, out, codes)
            width = out
            if level in config.attn_resolutions:
                shapes |= attention(f"decoder.up.{level}.attn.{i}", out, codes)
        if level > 0:
            shapes |= linear(f"decoder.up.{level}.upsample.conv", out, out, 3, 3)
    return shapes | spatial_norm("decoder.norm_out", widths[0], codes) | linear("decoder.conv_out", 3, widths[0], 3, 3)


def as_published(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of `transformers`' class under published names: the blocks are found by what they are, not by rules."""
    renamed = {}
    for name, tensor in theirs.items():
        words = name.replace("down_block.down", "down").replace("up_block.up", "up").split(".")
        words = ["mid" if word == "middle_block" else word for word in words]
        if "attn_norm" in words:
            words[words.index("attn_norm") : words.index("attn_norm") + 1] = ["attn_1", "norm"]
        if "attn_norms" in words:
            at = words.index("attn_norms")
            words[at : at + 2] = ["attn", words[at + 1], "norm"]
        if words[-2].endswith("_proj"):
            words[-2] = {"q_proj": "q", "k_proj": "k", "v_proj": "v", "out_proj": "proj_out"}[words[-2]]
            renamed[".".join(words)] = tensor[..., None, None] if words[-1] == "weight" else tensor
        else:
            renamed[".".join(words)] = tensor
    return renamed


def load_published(model: Emu3Vq, weights: dict[str, Tensor]) -> None:
    """Fill ours through `locate_emu3_vq` alone."""
    state = {}
    for name in model.state_dict():
        location = locate_emu3_vq(name)
        tensor = weights[location.name]
        for _ in range(location.trailing_ones):
            tensor = tensor.squeeze(-1)
        state[name] = tensor
    model.load_state_dict(state)


@pytest.fixture(scope="module")
def pair() -> tuple[Emu3Vq, Emu3VQVAE]:
    """Ours and `transformers`' with the same weights, statistics of batch norms other than their defaults."""
    torch.manual_seed(0)
    theirs = Emu3VQVAE(SMALL.as_transformers()).eval()
    with torch.no_grad():
        for name, value in theirs.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 2.0)
            elif name.endswith(("running_mean", "bias")):
                value.normal_(std=0.3)
            elif value.is_floating_point():
                value.add_(torch.randn_like(value) * 0.02)
    ours = Emu3Vq(SMALL)
    load_published(ours, as_published(theirs.state_dict()))
    return ours, theirs


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(2, 3, 24, 40, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_codes_are_those_of_transformers(pair, images):
    ours, theirs = pair
    codes = ours.encode(images)
    expected = theirs.encode(images, image_sizes=[images.shape[-2:]] * 2).image_tokens
    assert codes.shape == (2, 3, 5)
    assert len(codes.unique()) > 5, "the weights tell images apart"
    assert torch.equal(codes, torch.stack(expected))


def test_pictures_are_those_of_transformers(pair):
    ours, theirs = pair
    codes = torch.randint(SMALL.codebook_size, (2, 3, 5), generator=torch.Generator().manual_seed(2))
    expected = theirs.decode(codes).detach()
    decoded = ours.decode(codes)
    assert decoded.shape == (2, 3, 24, 40)
    assert decoded.std() > 0.1
    assert (decoded - expected).abs().max() <= 1e-5 * max(1.0, float(expected.abs().max()))


def test_a_side_that_is_no_multiple_of_eight_is_refused(pair):
    with pytest.raises(ObservationError, match=r"multiples of 8, got \[24, 41\]"):
        pair[0].encode(torch.zeros(1, 3, 24, 41))


def test_training_mode_does_not_change_it(pair, images):
    codes = pair[0].encode(images)
    assert not pair[0].train().training
    assert torch.equal(pair[0].encode(images), codes)


@pytest.mark.parametrize("config", [SMALL, Emu3VqConfig()], ids=["small", "published"])
def test_every_tensor_of_the_published_file_has_its_place(config):
    expected = expected_tensors(on_meta(lambda: Emu3Vq(config)), locate_emu3_vq)
    assert {name: list(each.shape) for name, each in expected.items()} == published(config)
    assert {name for name, each in expected.items() if not each.floating} == {
        name for name in published(config) if name.endswith("num_batches_tracked")
    }


def test_the_published_tokenizer_has_270_million_parameters():
    model = on_meta(lambda: Emu3Vq(Emu3VqConfig()))
    total = sum(parameter.numel() for parameter in model.parameters())
    statistics = re.compile(r"running_|num_batches")
    listed = sum(math.prod(s) for name, s in published(Emu3VqConfig()).items() if not statistics.search(name))
    assert total == listed
    assert 0.26e9 < total < 0.28e9


def test_config_reads_the_published_keys():
    values = {
        "architectures": ["Emu3VisionVQModel"],
        "model_type": "Emu3VisionVQ",
        "attn_resolutions": [3],
        "ch": 64,
        "ch_mult": [1, 1, 2, 2],
        "codebook_size": 128,
        "double_z": False,
        "dropout": 0.0,
        "embed_dim": 8,
        "in_channels": 3,
        "num_res_blocks": 1,
        "out_channels": 3,
        "temporal_downsample_factor": 2,
        "torch_dtype": "float32",
        "z_channels": 8,
    }
    config = Emu3VqConfig.from_json(values)
    assert config == Emu3VqConfig(64, (1, 1, 2, 2), 1, (3,), 128, 8, 8, 2)
    assert config.stride == 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "emu3_vqgan"}, "model_type Emu3VisionVQ, got 'emu3_vqgan'"),
        ({"double_z": True}, "double_z must be false, got True"),
        ({"ch": 48}, "ch must be a multiple of 32, got 48"),
        ({"ch": "256"}, "ch must be like 256, got '256'"),
        ({"ch_mult": [1, 2.5]}, "ch_mult must be like"),
        ({"temporal_downsample_factor": 3}, "a power of two, got 3"),
        ({"z_channels": 8}, "z_channels must be embed_dim = 4, got 8"),
        ({"attn_resolutions": [1]}, "as wide as the last one, got 1"),
    ],
)
def test_a_config_that_cannot_be_run_is_refused(changes, message):
    with pytest.raises(CheckpointError, match=re.escape(message)):
        Emu3VqConfig.from_json({"model_type": "Emu3VisionVQ", **changes})


def test_cameras_of_one_size_are_read_together_with_the_same_codes(monkeypatch):
    torch.manual_seed(0)
    vq = Emu3Vq(SMALL)
    sizes = [(24, 16), (16, 16), (24, 16)]
    cameras = [torch.rand(2, 3, *size) * 2 - 1 for size in sizes]
    expected, passes = [vq.encode(images) for images in cameras], []
    inner = Emu3Vq.encode
    monkeypatch.setattr(Emu3Vq, "encode", lambda self, images: passes.append(len(images)) or inner(self, images))
    found = vq.encode_all(cameras)
    assert passes == [4, 2]
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
