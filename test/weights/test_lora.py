"""An adapter merged while reading equals PEFT's formula, and what is no plain LoRA is refused by name."""

import json
import math

import pytest
import torch
from safetensors.torch import save_file

from dvla_ros.errors import CheckpointError
from dvla_ros.weights.lora import Merged, read_adapter
from dvla_ros.weights.streaming import load_into, on_meta
from dvla_ros.weights.tensor_source import HeldTensors

CONFIG = {
    "peft_type": "LORA",
    "r": 4,
    "lora_alpha": 8,
    "use_rslora": False,
    "fan_in_fan_out": False,
    "bias": "none",
    "use_dora": False,
    "lora_bias": False,
    "init_lora_weights": "gaussian",
    "rank_pattern": {},
    "alpha_pattern": {},
    "target_modules": ["q_proj", "down_proj"],
    "modules_to_save": None,
}
Q, DOWN = "model.layers.0.self_attn.q_proj", "model.layers.10.mlp.down_proj"


def factors(module, outputs, inputs, rank=4, suffix="", prefix="base_model.model."):
    return {
        f"{prefix}{module}.lora_A{suffix}.weight": torch.randn(rank, inputs),
        f"{prefix}{module}.lora_B{suffix}.weight": torch.randn(outputs, rank),
    }


@pytest.fixture
def base():
    torch.manual_seed(0)
    return {
        f"{Q}.weight": torch.randn(6, 5).bfloat16(),
        f"{DOWN}.weight": torch.randn(1030, 7),
        "model.norm.weight": torch.randn(5),
    }


@pytest.fixture
def write(tmp_path):
    def write(tensors, **changes):
        folder = tmp_path / "lora_adapter"
        folder.mkdir(exist_ok=True)
        (folder / "adapter_config.json").write_text(json.dumps(CONFIG | changes))
        save_file(tensors, folder / "adapter_model.safetensors")
        return folder

    return write


def by_hand(weight, tensors, module, scale, suffix=""):
    """W + s B A in float64."""
    down, up = (tensors[f"base_model.model.{module}.lora_{side}{suffix}.weight"].double() for side in "AB")
    return weight.double() + scale * (up @ down)


@pytest.mark.parametrize("suffix", ["", ".default"])
@pytest.mark.parametrize("stabilised", [False, True])
def test_weights_are_merged_as_peft_merges_them(base, write, suffix, stabilised):
    tensors = factors(Q, 6, 5, suffix=suffix) | factors(DOWN, 1030, 7, suffix=suffix)
    merged = Merged(HeldTensors(base), read_adapter(write(tensors, use_rslora=stabilised)))
    scale = 8 / math.sqrt(4) if stabilised else 8 / 4
    assert merged.names == base.keys()

    exact = by_hand(base[f"{DOWN}.weight"], tensors, DOWN, scale, suffix)
    torch.testing.assert_close(merged.read(f"{DOWN}.weight").double(), exact, rtol=1e-5, atol=1e-5)

    rounded = merged.read(f"{Q}.weight")
    assert rounded.dtype == merged.dtype(f"{Q}.weight") == torch.bfloat16
    down, up = (tensors[f"base_model.model.{Q}.lora_{side}{suffix}.weight"] for side in "AB")
    peft = base[f"{Q}.weight"].float() + (up @ down) * scale
    torch.testing.assert_close(rounded.float(), peft, rtol=2**-8, atol=1e-6)  # rounded once, to bfloat16
    assert torch.equal(merged.read("model.norm.weight"), base["model.norm.weight"])


def test_the_base_stays_as_it_is(base, write):
    before = base[f"{Q}.weight"].clone()
    merged = Merged(HeldTensors(base), read_adapter(write(factors(Q, 6, 5))))
    assert torch.equal(merged.read(f"{Q}.weight"), merged.read(f"{Q}.weight"))
    assert torch.equal(base[f"{Q}.weight"], before)


def test_a_transposed_base(base, write):
    tensors = factors(DOWN, 7, 1030)
    merged = Merged(HeldTensors(base), read_adapter(write(tensors, fan_in_fan_out=True)))
    exact = by_hand(base[f"{DOWN}.weight"].T, tensors, DOWN, 2.0).T
    torch.testing.assert_close(merged.read(f"{DOWN}.weight").double(), exact, rtol=1e-5, atol=1e-5)


def test_rank_and_alpha_of_single_modules(base, write):
    tensors = factors(Q, 6, 5, rank=2) | factors(DOWN, 1030, 7)
    folder = write(tensors, rank_pattern={"self_attn.q_proj": 2}, alpha_pattern={r"layers\.\d+\.mlp\..*": 2})
    changes = read_adapter(folder).changes
    assert changes[f"{Q}.weight"].scale == 8 / 2 and changes[f"{DOWN}.weight"].scale == 2 / 4


def test_a_pattern_is_matched_from_a_dot_to_the_end(base, write):
    folder = write(factors(Q, 6, 5), alpha_pattern={"proj": 1, "q": 1, "q_proj.x": 1, "elf_attn.q_proj": 1})
    assert read_adapter(folder).changes[f"{Q}.weight"].scale == 8 / 4


def test_a_convolution(write):
    torch.manual_seed(0)
    weight = torch.randn(6, 3, 2, 2)
    down, up = torch.randn(4, 3, 2, 2), torch.randn(6, 4, 1, 1)
    folder = write({"base_model.model.patch.lora_A.weight": down, "base_model.model.patch.lora_B.weight": up})
    merged = Merged(HeldTensors({"patch.weight": weight}), read_adapter(folder))
    expected = weight + 2.0 * torch.nn.functional.conv2d(down.permute(1, 0, 2, 3), up).permute(1, 0, 2, 3)
    torch.testing.assert_close(merged.read("patch.weight"), expected)


@pytest.mark.parametrize(
    "name", ["lm_head.modules_to_save.weight", "lm_head.modules_to_save.default.weight", "lm_head.weight"]
)
def test_whole_modules_replace_those_of_the_base_or_come_to_it(base, write, name):
    saved = {f"base_model.model.{name}": torch.ones(3, 5), "base_model.model.model.norm.base_layer.bias": torch.ones(5)}
    base["lm_head.weight"] = torch.zeros(2, 5)
    merged = Merged(HeldTensors(base), read_adapter(write(saved | factors(Q, 6, 5))))
    assert merged.names == base.keys() | {"model.norm.bias"}
    assert merged.shape("lm_head.weight") == (3, 5) and torch.equal(merged.read("lm_head.weight"), torch.ones(3, 5))


def test_an_adapter_that_pytorch_saved(base, write):
    tensors = factors(Q, 6, 5)
    folder = write(tensors)
    (folder / "adapter_model.safetensors").unlink()
    torch.save(tensors, folder / "adapter_model.bin")
    merged = Merged(HeldTensors(base), read_adapter(folder))
    torch.testing.assert_close(
        merged.read(f"{Q}.weight").double(), by_hand(base[f"{Q}.weight"], tensors, Q, 2.0), rtol=2**-8, atol=1e-6
    )


def test_a_merged_source_goes_into_a_network(write):
    torch.manual_seed(0)
    layer = torch.nn.Linear(5, 6)
    tensors = factors("linear", 6, 5)
    network = on_meta(lambda: torch.nn.ModuleDict({"linear": torch.nn.Linear(5, 6)}))
    base = HeldTensors({f"linear.{name}": tensor for name, tensor in layer.state_dict().items()})
    load_into(network, Merged(base, read_adapter(write(tensors))), where="test")
    torch.testing.assert_close(network["linear"].weight.double(), by_hand(layer.weight, tensors, "linear", 2.0))


def test_modules_that_the_base_lacks_are_listed(base, write):
    adapter = read_adapter(write(factors("model.x", 2, 3) | factors("model.y", 2, 3) | factors(Q, 6, 5)))
    with pytest.raises(CheckpointError, match=r"2 weights that the base model does not have: model.x.weight, model.y"):
        Merged(HeldTensors(base), adapter)


@pytest.mark.parametrize("shape", [(5, 6), (6, 4)])
def test_weights_of_another_shape_are_listed(base, write, shape):
    with pytest.raises(CheckpointError, match=rf"{Q}.weight is \[6, 5\] torch.bfloat16, the adapter needs"):
        Merged(HeldTensors(base), read_adapter(write(factors(Q, *shape))))


def test_a_quantised_base_is_refused(base, write):
    base[f"{Q}.weight"] = torch.ones(6, 5, dtype=torch.int8)
    with pytest.raises(CheckpointError, match="torch.int8"):
        Merged(HeldTensors(base), read_adapter(write(factors(Q, 6, 5))))


@pytest.mark.parametrize(
    "changes",
    [
        {"use_dora": True},
        {"lora_bias": True},
        {"use_qalora": True},
        {"layer_replication": [[0, 1]]},
        {"trainable_token_indices": [1, 2]},
        {"init_lora_weights": "pissa_niter_4"},
        {"init_lora_weights": 1},
    ],
)
def test_other_kinds_of_lora_are_refused_by_name(write, changes):
    with pytest.raises(CheckpointError, match=f"uses {next(iter(changes))}=.*merge the adapter where it was trained"):
        read_adapter(write(factors(Q, 6, 5), **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "IA3"}, "is an adapter of type 'IA3'; only LORA is merged"),
        ({"r": 8}, f"says rank 8 for {Q}, its tensors have 4"),
        ({"r": None}, "says rank None"),
        ({"lora_alpha": "8"}, "must be a number, got '8'"),
        ({"lora_alpha": None}, "must be a number"),
        ({"rank_pattern": {"(": 3}}, r"rank_pattern has the wrong pattern '\('"),
    ],
)
def test_wrong_settings_are_refused(write, changes, message):
    with pytest.raises(CheckpointError, match=message):
        read_adapter(write(factors(Q, 6, 5), **changes))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (f"base_model.model.{Q}.lora_magnitude_vector", "lora_magnitude_vector"),
        (f"base_model.model.{Q}.lora_B.bias", "lora_B.bias"),
        ("base_model.model.model.embed_tokens.lora_embedding_A", "lora_embedding_A"),
        ("base_model.model.lonely.lora_A.weight", "lonely.lora_A.weight"),
    ],
)
def test_tensors_that_belong_to_no_pair_are_listed(write, name, message):
    with pytest.raises(CheckpointError, match=f"1 tensors are no pair .*{message}"):
        read_adapter(write(factors(Q, 6, 5) | {name: torch.ones(4, 5)}))


def test_factors_that_cannot_be_multiplied_are_refused(write):
    tensors = factors(Q, 6, 5)
    tensors[f"base_model.model.{Q}.lora_B.weight"] = torch.ones(6, 3)
    with pytest.raises(CheckpointError, match="cannot be multiplied"):
        read_adapter(write(tensors))


def test_the_same_tensor_twice_is_refused(write):
    with pytest.raises(CheckpointError, match="holds the same tensor twice"):
        read_adapter(write(factors(Q, 6, 5) | factors(Q, 6, 5, suffix=".default")))


def test_an_incomplete_folder_is_refused(write):
    folder = write({})
    with pytest.raises(CheckpointError, match="holds no adapted weight"):
        read_adapter(folder)
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="has no file adapter_model.safetensors"):
        read_adapter(folder)
    (folder / "adapter_config.json").unlink()
    with pytest.raises(CheckpointError, match="has no file adapter_config.json"):
        read_adapter(folder)
