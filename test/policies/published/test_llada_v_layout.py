"""Folders as LLaDA-V's training code writes them: read, or refused with what is wrong."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.fresh_llada_v import write_fresh_llada_v
from dvla_ros.policies.published.llada_v_layout import LladaVLayout, LladaVSetup
from dvla_ros.weights.checkpoint_folder import json_in
from dvla_ros.weights.streaming import expected_tensors

CPU = torch.device("cpu")
Edit = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("llada_v")
    write_fresh_llada_v(path, size="small")
    return path


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy of which a test may replace files."""
    return shutil.copytree(written, tmp_path / "checkpoint", copy_function=os.link)


def edit(path: Path, change: Edit) -> None:
    values = json.loads(path.read_text())
    change(values)
    path.unlink()  # the copy shares it with the original
    path.write_text(json.dumps(values))


def read(folder: Path, **changes: Any) -> LladaVSetup:
    config = json_in(folder, "config.json")
    assert LladaVLayout().recognises(config)
    return LladaVLayout().read(folder, config, Deployment(**{"cameras": ("front",), **changes}))


def test_a_fresh_checkpoint_has_the_published_files(written: Path):
    names = {path.name for path in written.iterdir()}
    assert {"config.json", "generation_config.json", "dataset_statistics.json", "tokenizer.json"} <= names
    assert {"tokenizer_config.json", "special_tokens_map.json", "model.safetensors.index.json"} <= names
    shards = sorted(name for name in names if name.startswith("model-"))
    assert len(shards) >= 2 and shards[0] == f"model-00001-of-{len(shards):05}.safetensors"
    assert sum(path.stat().st_size for path in written.iterdir()) < 60e6
    assert set(json_in(written, "model.safetensors.index.json")["weight_map"]) == set(
        expected_tensors(read(written).skeleton().module, read(written).skeleton().locate)
    )


def test_a_checkpoint_says_what_it_is(folder: Path):
    setup = read(folder)
    assert (setup.system, setup.spec.system, setup.spec.cameras) == ("llada_vla", "llada_vla", ("front",))
    assert (setup.spec.horizon, setup.spec.execute_steps, setup.spec.state_dim) == (5, 5, 7)
    assert setup.decoding["decoder"] == "hierarchical"
    assert (setup.codec.length, setup.codec.vocabulary) == (35, 32)
    facts = setup.facts()
    assert "126352..126383" in facts["vocabulary"] and facts["attention"] == "full"
    assert "not looked at" in facts["state"]


def test_every_action_decodes_within_the_statistics_and_the_gripper_to_an_end(folder: Path):
    codec = read(folder).codec
    tokens = np.random.default_rng(0).integers(0, 32, codec.length)
    actions = codec.decode(tokens).actions
    assert (np.abs(actions[:, :3]) <= 0.008 + 1e-6).all() and (np.abs(actions[:, 3:6]) <= 0.02 + 1e-6).all()
    assert set(np.round(actions[:, 6], 6)) <= {0.0, 1.0}


def test_the_deployment_chooses_horizon_decoder_and_attention(folder: Path):
    setup = read(folder, horizon=3, execute_steps=2, attention="block_causal", decoding={"reduction": "mean"})
    assert (setup.spec.horizon, setup.spec.execute_steps, setup.codec.length) == (3, 2, 21)
    assert setup.decoding["reduction"] == "mean"
    network = setup.network(CPU, torch.float32)
    assert network.canvas.length == 21 and not network.prompt_sees_canvas


def test_a_resized_embedding_has_the_action_tokens_at_its_end(tmp_path: Path):
    write_fresh_llada_v(tmp_path, size="small", added_rows=32)
    setup = read(tmp_path)
    assert setup.actions.ids == range(126464, 126496)
    network = setup.network(CPU, torch.float32)
    assert torch.equal(network.token_table(), network._words.embed_tokens.weight[-32:])


def test_a_file_with_the_whole_tower_is_read(tmp_path: Path):
    write_fresh_llada_v(tmp_path, size="small", whole_tower=True)
    setup = read(tmp_path)
    assert setup.parts.whole_tower and "whole" in setup.facts()["vision tower"]
    setup.network(CPU, torch.float32)


def test_the_first_action_token_may_be_named(folder: Path):
    edit(folder / "config.json", lambda config: config.update(action_token_begin=126400))
    assert read(folder).actions.ids == range(126400, 126432)


def test_sizes_of_the_tower_may_come_from_its_own_folder(folder: Path, tmp_path: Path):
    tower = tmp_path / "siglip"
    tower.mkdir()
    sizes = json_in(folder, "config.json")["vision_config"]
    (tower / "config.json").write_text(json.dumps(sizes))
    edit(folder / "config.json", lambda config: config.pop("vision_config"))
    with pytest.raises(CheckpointError, match="mm_hidden_size 24, the vision tower has a width of 1152"):
        read(folder)
    read(folder, files={"vision_tower": str(tower)}).network(CPU, torch.float32)


def test_statistics_may_lie_elsewhere_and_need_no_state(folder: Path, tmp_path: Path):
    elsewhere = tmp_path / "bridge.json"
    blocks = json_in(folder, "dataset_statistics.json")
    del blocks["bridge_orig"]["proprio"]
    elsewhere.write_text(json.dumps({**blocks, "other": {}}))
    (folder / "dataset_statistics.json").unlink()
    with pytest.raises(ConfigurationError, match="statistics"):
        read(folder)
    read(folder, files={"statistics": str(elsewhere)}, unnorm_key="bridge_orig")


def test_an_adapter_is_merged_into_its_base(written: Path, tmp_path: Path):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    for name in ("config.json", "dataset_statistics.json"):
        shutil.copy(written / name, adapter / name)
    generator = torch.Generator().manual_seed(1)
    down, up = torch.randn(2, 32, generator=generator), torch.randn(32, 2, generator=generator)
    module = "base_model.model.model.layers.1.self_attn.q_proj"
    save_file({f"{module}.lora_A.weight": down, f"{module}.lora_B.weight": up}, adapter / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "base_model_name_or_path": "GSAI-ML/LLaDA-V"}
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    projector = torch.full((32,), 0.5)
    torch.save({"base_model.model.model.mm_projector.2.bias": projector}, adapter / "non_lora_trainables.bin")

    with pytest.raises(ConfigurationError, match="GSAI-ML/LLaDA-V.*files: {base: PATH}"):
        read(adapter)
    network = read(adapter, files={"base": str(written)}).network(CPU, torch.float32)
    name = "model.layers.1.self_attn.q_proj.weight"
    base = next(t[name].float() for t in map(load_file, written.glob("model-*.safetensors")) if name in t)
    merged = network._words.trunk.layers[1].self_attn.q_proj.weight
    torch.testing.assert_close(merged, base + 2.0 * up @ down, atol=5e-2, rtol=1e-2)  # rounded to bfloat16
    assert (merged - base).abs().max() > 1.0
    assert torch.equal(network.model.mm_projector[2].bias, projector)


def add_used_token(tokenizer: dict[str, Any]) -> None:
    for number in range(126349, 126360):
        tokenizer["added_tokens"].append({**tokenizer["added_tokens"][-1], "id": number, "content": f"<s{number}>"})


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("config.json", lambda c: c.pop("hidden_size"), "hidden_size is missing"),
        ("config.json", lambda c: c.update(image_aspect_ratio="highres"), "image_aspect_ratio"),
        ("config.json", lambda c: c.update(action_token_begin=126340), "the chat's own"),
        ("config.json", lambda c: c.update(action_token_begin=126440), "not all among the 126464 rows"),
        ("config.json", lambda c: c.update(action_token_begin="last"), "must be a whole number, got 'last'"),
        ("tokenizer.json", add_used_token, "126352..126359.*action_token_begin"),
        ("dataset_statistics.json", lambda s: s["bridge_orig"].pop("action"), "no statistics 'action'"),
        ("dataset_statistics.json", lambda s: s["bridge_orig"]["action"].pop("q01"), "q01"),
        ("dataset_statistics.json", lambda s: s.update(second=s["bridge_orig"]), "Name one of the data sets"),
        (
            "dataset_statistics.json",
            lambda s: s["bridge_orig"].update(action={k: v[:6] for k, v in s["bridge_orig"]["action"].items()}),
            "6 columns, an action has 7",
        ),
        (
            "dataset_statistics.json",
            lambda s: s["bridge_orig"]["action"].update(q99=[float("nan")] * 7),
            "finite",
        ),
    ],
)
def test_a_defect_of_a_small_file_is_refused(folder: Path, file: str, change: Edit, message: str):
    edit(folder / file, change)
    with pytest.raises(CheckpointError, match=message):
        read(folder)


@pytest.mark.parametrize("file", ["tokenizer.json", "model-00002-of-00002.safetensors"])
def test_a_missing_file_is_refused_by_name(folder: Path, file: str):
    (folder / file).unlink()
    with pytest.raises(CheckpointError, match=file):
        read(folder)


def test_a_vocabulary_of_another_size_is_refused(folder: Path):
    edit(folder / "config.json", lambda config: config.update(vocab_size=126496))
    with pytest.raises(CheckpointError, match=r"embed_tokens.weight is \[126464, 32\], needs \[126496, 32\]"):
        read(folder).network(CPU, torch.float32)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"unnorm_key": "fractal"}, CheckpointError, "no data set 'fractal'.*bridge_orig"),
        ({"attention": "merged"}, ConfigurationError, "got 'merged'"),
        ({"execute_steps": 6}, ConfigurationError, "at most the 5 actions"),
        ({"image_sizes": ((200, 200),)}, ConfigurationError, "leave them out"),
        ({"decoding": {"iterations": 2}}, ConfigurationError, "iterations"),
        ({"files": {"base": "nowhere"}}, ConfigurationError, "base"),
    ],
)
def test_a_deployment_that_does_not_fit_is_refused(
    folder: Path, changes: dict[str, Any], error: type[Exception], message: str
):
    if "files" in changes:
        (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(error, match=message):
        read(folder, **changes)
