"""The image tokenizer: shapes, refusals, and what it writes to disk."""

import json

import pytest
import torch

from dvla_ros.errors import CheckpointError, ConfigurationError, ObservationError
from dvla_ros.models.vq import VqConfig, VqTokenizer

SIZES = VqConfig(image_width=32, image_height=24, codebook_size=20, code_dim=4, widths=(8, 8, 16))


@pytest.fixture
def tokenizer():
    torch.manual_seed(0)
    return VqTokenizer(SIZES).eval()


@pytest.fixture
def images():
    return torch.randint(0, 256, (3, 3, 24, 32), generator=torch.Generator().manual_seed(1)).to(torch.uint8)


def test_an_image_of_the_default_size_is_six_rows_of_eight_codes():
    torch.manual_seed(0)
    tokenizer = VqTokenizer(VqConfig()).eval()
    codes = tokenizer.encode(torch.zeros(2, 3, 48, 64, dtype=torch.uint8))
    assert codes.shape == (2, 6, 8) and tokenizer.config.tokens == 48
    assert tokenizer.decode(codes).shape == (2, 3, 48, 64)
    assert sum(parameter.numel() for parameter in tokenizer.parameters()) <= 1_500_000


def test_codes_are_whole_numbers_in_the_codebook_for_bytes_and_floats_alike(tokenizer, images):
    codes = tokenizer.encode(images)
    assert codes.dtype == torch.int64 and codes.shape == (3, 3, 4)
    assert codes.min() >= 0 and codes.max() < SIZES.codebook_size
    assert torch.equal(codes, tokenizer.encode(images.float()))


def test_images_are_bytes_and_do_not_depend_on_the_shape_of_the_codes(tokenizer, images):
    codes = tokenizer.encode(images)
    made = tokenizer.decode(codes)
    assert made.dtype == torch.uint8 and made.shape == images.shape
    assert torch.equal(made, tokenizer.decode(codes.flatten(1)))


def test_a_code_changes_the_image_where_it_lies(tokenizer):
    codes = torch.zeros(2, 3, 4, dtype=torch.int64)
    codes[1, 2, 3] = 7
    before, after = tokenizer.decode(codes).float()
    change = (after - before).abs().mean(dim=0)
    assert change[16:, 24:].mean() > change[:8, :8].mean()


def test_decoding_agrees_with_the_training_pass(tokenizer, images):
    made = tokenizer(images)
    pixels = ((made.pixels.detach() + 1.0) * 127.5).clamp(0.0, 255.0)
    assert torch.equal(made.codes.view(3, 3, 4), tokenizer.encode(images))
    assert (tokenizer.decode(tokenizer.encode(images)) - pixels).abs().max() <= 0.51


def test_gradients_pass_through_the_codes_to_the_encoder(tokenizer, images):
    tokenizer(images).pixels.square().mean().backward()
    first = tokenizer.encoder[1].weight.grad
    assert first is not None and first.abs().max() > 0.0


def test_a_saved_tokenizer_is_bit_equal_after_loading(tokenizer, images, tmp_path):
    tokenizer.save(tmp_path / "made" / "here")
    loaded = VqTokenizer.load(tmp_path / "made" / "here")
    assert loaded.config == SIZES and not loaded.training
    state = tokenizer.state_dict()
    assert loaded.state_dict().keys() == state.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.state_dict().items())
    codes = tokenizer.encode(images)
    assert torch.equal(codes, loaded.encode(images))
    assert torch.equal(tokenizer.decode(codes), loaded.decode(codes))


def test_missing_files_are_named(tokenizer, tmp_path):
    with pytest.raises(CheckpointError, match=r"vq\.json"):
        VqTokenizer.load(tmp_path)
    tokenizer.save(tmp_path)
    (tmp_path / "vq.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"vq\.safetensors"):
        VqTokenizer.load(tmp_path)


def test_broken_weights_are_refused(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    (tmp_path / "vq.safetensors").write_bytes(b"not weights")
    with pytest.raises(CheckpointError, match="cannot be read"):
        VqTokenizer.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codebook_size": 21}, "does not fit"),
        ({"widths": [8, 8, 24]}, "does not fit"),
        ({"image_width": 20}, "multiple of 8"),
        ({"depth": 3}, "depth"),
    ],
)
def test_sizes_that_do_not_fit_the_weights_are_refused(tokenizer, tmp_path, change, message):
    tokenizer.save(tmp_path)
    path = tmp_path / "vq.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=message):
        VqTokenizer.load(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "3"])
def test_a_configuration_that_is_no_object_is_refused(tokenizer, tmp_path, text):
    tokenizer.save(tmp_path)
    (tmp_path / "vq.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"vq\.json"):
        VqTokenizer.load(tmp_path)


@pytest.mark.parametrize("shape", [(3, 24, 32), (1, 3, 32, 24), (1, 1, 24, 32), (1, 24, 32, 3)])
def test_images_of_another_shape_are_refused(tokenizer, shape):
    with pytest.raises(ObservationError, match="shape"):
        tokenizer.encode(torch.zeros(shape))


@pytest.mark.parametrize(
    "codes",
    [
        torch.full((1, 3, 4), 20),
        torch.full((1, 3, 4), -1),
        torch.zeros(1, 4, 3, dtype=torch.int64),
        torch.zeros(1, 11, dtype=torch.int64),
        torch.zeros(1, 3, 4),
    ],
)
def test_codes_that_are_none_are_refused(tokenizer, codes):
    with pytest.raises(ObservationError, match="Image codes must be"):
        tokenizer.decode(codes)


@pytest.mark.parametrize(
    "change",
    [
        {"image_width": 60},
        {"image_height": 0},
        {"codebook_size": 1},
        {"code_dim": 1},
        {"widths": (8, 8)},
        {"widths": (8, 8, 12)},
    ],
)
def test_sizes_out_of_range_are_refused(change):
    with pytest.raises(ConfigurationError, match=next(iter(change))):
        VqConfig(**change)
