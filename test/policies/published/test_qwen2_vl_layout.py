"""DiffusionVLA and DexVLA checkpoints as their training code writes them: read, run, refused."""

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from dvla_ros.control.observation import Observation
from dvla_ros.errors import CheckpointError, ConfigurationError, ObservationError
from dvla_ros.models import qwen2_vl
from dvla_ros.models.ddim import DdimConfig, sample_chunk
from dvla_ros.policies.diffusion_vla import DiffusionPolicy
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.fresh_qwen2_vl import write_fresh_qwen2_vl
from dvla_ros.policies.published.qwen2_vl_layout import Qwen2VlLayout, Qwen2VlSetup
from dvla_ros.policies.published.qwen2_vl_network import Qwen2VlNetwork

CPU = torch.device("cpu")
IMAGE_PAD, IM_END = 151655, 151645
STATE = np.array([0.22, 0.01, 0.16, 0.05, -0.1, 0.2, 1.0])


@pytest.fixture(scope="module")
def unet(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("run") / "checkpoint-60000"
    write_fresh_qwen2_vl(folder, head="unet_diffusion_policy")
    return folder


@pytest.fixture(scope="module")
def scale_dp(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("run") / "checkpoint-60000"
    write_fresh_qwen2_vl(folder, head="scale_dp_policy")
    return folder


@pytest.fixture(scope="module")
def network(unet) -> Qwen2VlNetwork:
    return read(unet).network(CPU, torch.float32)


@pytest.fixture
def small_files(unet, tmp_path) -> Path:
    """A checkpoint without its weights, to be damaged."""
    folder = tmp_path / "run" / unet.name
    shutil.copytree(unet, folder, ignore=shutil.ignore_patterns("*.safetensors*"))
    shutil.copy(unet.parent / "dataset_stats.pkl", folder.parent)
    return folder


@pytest.fixture
def whole(unet, small_files) -> Path:
    """A checkpoint with its weights, to be damaged."""
    for path in unet.glob("*.safetensors*"):
        shutil.copy(path, small_files)
    return small_files


def read(folder: Path, **deployment: Any) -> Qwen2VlSetup:
    config = json.loads((folder / "config.json").read_text())
    assert Qwen2VlLayout().recognises(config)
    return Qwen2VlLayout().read(folder, config, Deployment(**deployment))


def observation(**changes: Any) -> Observation:
    draw = np.random.default_rng(0)
    images = {name: draw.integers(0, 256, (96, 128, 3), np.uint8) for name in ("front", "wrist")}
    return replace(Observation(0.0, images, STATE, "put the cup on the plate"), **changes)


def change(folder: Path, name: str, **values: Any) -> None:
    """Keys of a JSON file replaced; None takes one away."""
    known = json.loads((folder / name).read_text()) | values
    (folder / name).write_text(json.dumps({key: value for key, value in known.items() if value is not None}))


def policy_of(setup: Qwen2VlSetup, **decoding: Any) -> DiffusionPolicy:
    settings = {**setup.decoding, **decoding}
    return DiffusionPolicy(setup.spec, setup.network(CPU, torch.float32), setup.normalizer, settings)


def test_the_files_are_those_of_a_published_checkpoint(unet):
    shards = sorted(path.name for path in unet.glob("model-*-of-*.safetensors"))
    assert len(shards) >= 2
    assert set(json.loads((unet / "model.safetensors.index.json").read_text())["weight_map"].values()) == set(shards)
    others = {path.name for path in unet.iterdir()} - set(shards)
    assert others == {
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "vocab.json",
        "merges.txt",
        "preprocessor_config.json",
        "chat_template.json",
        "model.safetensors.index.json",
    }
    assert sum(path.stat().st_size for path in unet.iterdir()) < 60e6
    statistics = pickle.loads((unet.parent / "dataset_stats.pkl").read_bytes())
    assert all(isinstance(value, np.ndarray) for value in statistics.values())


@pytest.mark.parametrize("head", ["unet", "scale_dp"])
def test_a_checkpoint_predicts_within_its_statistics(head, request):
    folder = request.getfixturevalue(head)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    setup = read(folder)
    prediction = policy_of(setup, max_reasoning_tokens=4).predict(observation(), seed=1)
    assert prediction.actions.shape == (16, 7)
    assert prediction.malformed == ""
    assert (prediction.actions >= setup.normalizer.low - 1e-6).all()
    assert (prediction.actions <= setup.normalizer.high + 1e-6).all()
    assert np.ptp(prediction.actions, axis=0).min() > 1e-4  # it is not one number
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("head", ["unet", "scale_dp"])
def test_half_precision_runs_and_is_near(head, request):
    setup = read(request.getfixturevalue(head))
    conditions, chunks = [], []
    for dtype in (torch.float32, torch.bfloat16):
        network = setup.network(CPU, dtype)
        inputs = network.prepare(observation())
        prompt = network.prefill(inputs)
        condition = network.condition(prompt, network.reason(prompt, 1, lambda: False), inputs)
        assert condition.dtype == dtype
        conditions.append(condition.float())
        chunks.append(sample_chunk(network.policy_head, condition, (16, 7), [0], config=DdimConfig()).actions)
    assert (conditions[0] - conditions[1]).abs().max() <= 0.02 * conditions[0].abs().max() + 1e-3
    assert (chunks[0] - chunks[1]).abs().mean() < 0.1


def test_what_was_recognised_is_said(unet):
    setup = read(unet, execute_steps=8, dt=0.1)
    assert (setup.spec.horizon, setup.spec.execute_steps, setup.spec.dt) == (16, 8, 0.1)
    assert (setup.spec.system, setup.spec.reasons, setup.codec) == ("diffusion_vla", True, None)
    facts = setup.facts()
    assert facts["action head"] == "unet_diffusion_policy, 7 columns, 16 rows"
    assert facts["vocabulary"] == "151936, head tied"
    assert str(unet.parent / "dataset_stats.pkl") in facts["statistics"]


def test_the_prompt_shows_the_cameras_in_order(network):
    seen = observation()
    question = network.prepare(seen).question
    ids = question.ids.tolist()
    assert [tuple(grid) for grid in question.grids] == [(1, 6, 10), (1, 6, 10)]  # 96 x 128 becomes 84 x 140
    assert ids.count(IMAGE_PAD) == 2 * 3 * 5
    assert question.patches.shape == (2 * 6 * 10, 3 * 2 * 14 * 14)
    swapped = observation(images={"front": seen.images["wrist"], "wrist": seen.images["front"]})
    other = network.prepare(swapped).question
    assert other.ids.tolist() == ids
    assert torch.equal(other.patches, question.patches.roll(60, dims=0))


def test_the_crop_of_the_middle_is_left_out_where_it_is_not_wanted(unet):
    framed = np.zeros((96, 128, 3), np.uint8)
    framed[[0, 1, -1, -2]], framed[:, [0, 1, 2, -1, -2, -3]] = 255, 255  # all that the crop takes away
    seen = observation(images={"front": framed, "wrist": framed})
    cropped, not_cropped = (
        read(unet, center_crop=crop).network(CPU, torch.float32).prepare(seen).question.patches
        for crop in (True, False)
    )
    assert not_cropped.max() > 1.9  # white
    assert cropped.max() < -1.4  # black


def test_the_state_is_standardised(network, unet):
    statistics = pickle.loads((unet.parent / "dataset_stats.pkl").read_bytes())
    expected = (STATE - statistics["qpos_mean"]) / np.maximum(statistics["qpos_std"], 1e-2)
    assert np.allclose(network.prepare(observation()).state.numpy(), expected[None], atol=1e-5)


def test_the_actions_are_unnormalised_by_the_range_that_stands_in_the_file(unet):
    statistics = pickle.loads((unet.parent / "dataset_stats.pkl").read_bytes())
    normalizer, draw = read(unet).normalizer, np.random.default_rng(0).uniform(-1, 1, (5, 7))
    low, high = (statistics[name].astype(np.float64) for name in ("action_min", "action_max"))
    assert np.allclose(normalizer.unnormalize(draw), (draw + 1) / 2 * (high - low) + low, atol=1e-12)
    assert low[-1] == pytest.approx(-1e-4)  # widened once, when it was written
    assert high[-1] == pytest.approx(1 + 1e-4)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for path in folder.glob("*.safetensors"):
        tensors |= {name: value.float() for name, value in load_file(path).items()}
    return tensors


@torch.no_grad()
def test_the_condition_is_the_prompt_modulated_by_the_reasoning(network, unet):
    w = weights_of(unet)

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def projected(name: str, x: torch.Tensor) -> torch.Tensor:
        return linear(f"{name}.mlps.2", functional.gelu(linear(f"{name}.mlps.0", x)))

    def head(c: torch.Tensor) -> torch.Tensor:
        normed = (c - c.mean()) / (c.var(unbiased=False) + 1e-5).sqrt()
        normed = normed * w["policy_head.norm_after_pool.weight"] + w["policy_head.norm_after_pool.bias"]
        return linear("policy_head.combine", torch.cat([normed, inputs.state[0]]))

    inputs = network.prepare(observation())
    prompt = network.prefill(inputs)
    answer = network.reason(prompt, 5, lambda: False)
    assert answer.hidden.shape == (1, 4, 32)  # the last word has no hidden state
    e_in = projected("input_action_proj", prompt.hidden[0].mean(dim=0))
    e_re = projected("reasoning_action_proj", answer.hidden[0].mean(dim=0))
    scale, shift = linear("reasoning_film.scale_fc", e_re), linear("reasoning_film.shift_fc", e_re)
    expected = e_in * (1 + scale) + shift + prompt.hidden[0].mean(dim=0)
    assert torch.allclose(network.condition(prompt, answer, inputs)[0], head(expected), atol=1e-5)
    unsaid = e_in * (1 + w["reasoning_film.scale_fc.bias"]) + w["reasoning_film.shift_fc.bias"]
    expected = unsaid + prompt.hidden[0].mean(dim=0)
    assert torch.allclose(network.condition(prompt, None, inputs)[0], head(expected), atol=1e-5)
    at_once = network.reason(prompt, 1, lambda: False)
    assert torch.equal(network.condition(prompt, at_once, inputs), network.condition(prompt, None, inputs))


def test_an_answer_is_as_long_as_released_or_as_asked_for(unet, network):
    assert network.longest_answer == 256
    setup = read(unet, decoding={"max_reasoning_tokens": 300})
    assert setup.longest_answer == 300
    assert setup.decoding["max_reasoning_tokens"] == 300


def test_words_are_those_of_the_tokenizer(network):
    ids = network._reader.prompt.tokenizer.encode("put the cup on the plate")
    hidden = torch.zeros(1, len(ids), 32)
    said = qwen2_vl.SaidWords(torch.tensor([*ids, IM_END]), hidden)
    assert network.words(said) == ("put the cup on the plate", len(ids))


def test_an_answer_ends_where_config_and_generation_config_say(small_files):
    assert read(small_files).config.backbone.ends == (151643, 151645)
    (small_files / "generation_config.json").unlink()
    assert read(small_files).config.backbone.ends == (151645,)


def test_the_probe_finds_no_token_that_sees_a_later_one(network):
    assert network.causal_probe(network.prepare(observation())) == 0.0


def test_the_probe_finds_a_mask_that_is_missing(network, monkeypatch):
    monkeypatch.setattr(qwen2_vl, "causal_mask", lambda *_: None)
    assert network.causal_probe(network.prepare(observation())) > 0.0


def test_without_film_nothing_is_said_and_everything_is_pooled(tmp_path):
    folder = tmp_path / "run" / "checkpoint"
    write_fresh_qwen2_vl(folder, head="scale_dp_policy", using_film=False)
    assert any(name.startswith("input_action_proj") for name in weights_of(folder))  # there, and never used
    setup = read(folder)
    policy = policy_of(setup)
    assert (setup.spec.reasons, policy.network.longest_answer) == (False, 0)
    prediction = policy.predict(observation(), seed=0)
    assert (prediction.reasoning, prediction.nfe, prediction.usable) == ("", 10, True)
    network = policy.network
    inputs = network.prepare(observation())
    prompt = network.prefill(inputs)
    expected = network.policy_head.encode_condition(prompt.hidden.mean(dim=1), inputs.state)
    assert torch.allclose(network.condition(prompt, None, inputs), expected, atol=1e-6)


def test_a_head_of_its_own_may_be_written_beside_a_tied_one(whole):
    tensors = weights_of(whole)
    save_file({"lm_head.weight": tensors["model.embed_tokens.weight"].bfloat16()}, whole / "model-extra.safetensors")
    index = json.loads((whole / "model.safetensors.index.json").read_text())
    index["weight_map"]["lm_head.weight"] = "model-extra.safetensors"
    (whole / "model.safetensors.index.json").write_text(json.dumps(index))
    read(whole).network(CPU, torch.float32)


def test_a_head_that_is_not_tied_must_be_there(whole):
    change(whole, "config.json", tie_word_embeddings=False)
    with pytest.raises(CheckpointError, match=r"1 missing \(lm_head.weight\)"):
        read(whole).network(CPU, torch.float32)


def rewritten(folder: Path, edit: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = {name: value.bfloat16() for name, value in weights_of(folder).items()}
    for path in folder.glob("model*.safetensors*"):
        path.unlink()
    edit(tensors)
    save_file(tensors, folder / "model.safetensors")


def without_head(tensors: dict[str, torch.Tensor]) -> None:
    for name in [name for name in tensors if name.startswith("policy_head.")]:
        del tensors[name]


def with_more(tensors: dict[str, torch.Tensor]) -> None:
    tensors["policy_head.adapter.weight"] = torch.zeros(3)


def with_wider_actions(tensors: dict[str, torch.Tensor]) -> None:
    tensors["policy_head.final_conv.1.weight"] = torch.zeros(14, 16, 1)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (without_head, "missing.*policy_head.*Check that config.json belongs"),  # the released code makes it up: NaN
        (with_more, r"1 unexpected \(policy_head.adapter.weight\)"),
        (with_wider_actions, r"policy_head.final_conv.1.weight is \[14, 16, 1\], needs \[7, 16, 1\]"),
    ],
)
def test_weights_that_do_not_fit_are_refused(whole, edit, message):
    rewritten(whole, edit)
    with pytest.raises(CheckpointError, match=message):
        read(whole).network(CPU, torch.float32)


@pytest.mark.parametrize("name", ["preprocessor_config.json", "chat_template.json"])
def test_what_training_does_not_write_must_be_copied_or_named(small_files, unet, name):
    (small_files / name).unlink()
    message = f"lacks {name}.*Copy it from the base model.*files: {{processor: PATH}}"
    with pytest.raises(CheckpointError, match=message):
        read(small_files)
    assert read(small_files, files={"processor": str(unet)}).reader.images.patch == 14


def test_another_chat_template_is_refused(small_files):
    for name in ("chat_template.json", "tokenizer_config.json"):
        change(small_files, name, chat_template="{{ messages[0]['content'][2]['text'] }}")
    with pytest.raises(CheckpointError, match="chat template"):
        read(small_files)


def test_another_tokenizer_is_refused(small_files):
    path = small_files / "tokenizer.json"
    path.write_text(path.read_text().replace("<|image_pad|>", "<|picture_pad|>"))
    with pytest.raises(CheckpointError, match="image_pad"):
        read(small_files)


def test_patches_of_another_size_are_refused(small_files):
    change(small_files, "preprocessor_config.json", patch_size=16)
    with pytest.raises(CheckpointError, match=r"\(16, 2, 2\).*takes \(14, 2, 2\)"):
        read(small_files)


def test_statistics_may_lie_in_the_folder_or_be_named(small_files, tmp_path):
    above = small_files.parent / "dataset_stats.pkl"
    inside = above.rename(small_files / "dataset_stats.pkl")
    assert read(small_files).statistics == inside
    named = inside.rename(tmp_path / "of_the_run.pkl")
    with pytest.raises(ConfigurationError, match="needs 'statistics'.*name its place"):
        read(small_files)
    assert read(small_files, files={"statistics": str(named)}).statistics == named


def with_statistics(folder: Path, **changes: Any) -> None:
    path = folder.parent / "dataset_stats.pkl"
    values = pickle.loads(path.read_bytes()) | changes
    path.write_bytes(pickle.dumps({key: value for key, value in values.items() if value is not None}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"action_min": None}, r"lacks \['action_min'\]"),
        ({"qpos_std": None}, r"lacks \['qpos_std'\]"),
        (
            {"action_min": np.zeros(14), "action_max": np.ones(14)},
            "14 action and 7 state columns, the action head for 7 and 7",
        ),
        (
            {"qpos_mean": np.zeros(14), "qpos_std": np.ones(14)},
            "7 action and 14 state columns, the action head for 7 and 7",
        ),
        ({"action_max": np.full(7, np.nan)}, "finite"),
        ({"action_max": np.full(7, -1.0)}, "low <= high"),
        ({"qpos_std": np.full(7, -1.0)}, "not negative"),
        ({"action_max": np.ones((7, 1))}, r"action_max must be a row of numbers, got shape \[7, 1\]"),
    ],
)
def test_statistics_that_do_not_fit_are_refused(small_files, changes, message):
    with_statistics(small_files, **changes)
    with pytest.raises(CheckpointError, match=message):
        read(small_files)


def test_a_pickle_that_runs_something_is_refused_and_runs_nothing(small_files, tmp_path):
    class Payload:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "was_run",))

    (small_files.parent / "dataset_stats.pkl").write_bytes(pickle.dumps({"action_min": Payload()}))
    with pytest.raises(CheckpointError, match="was not run"):
        read(small_files)
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize(
    ("deployment", "error", "message"),
    [
        ({"unnorm_key": "bridge"}, ConfigurationError, "leave unnorm_key empty, got 'bridge'"),
        ({"horizon": 8}, ConfigurationError, "makes 16 rows, but horizon is 8"),
        ({"execute_steps": 17}, ConfigurationError, r"the 16 actions.*got 17"),
        ({"attention": "full"}, ConfigurationError, "causal"),
        ({"image_sizes": ((240, 320), (240, 320))}, ConfigurationError, "image_sizes"),
        ({"decoding": {"temperature": 1.0}}, ConfigurationError, "no settings"),
        ({"state": "none"}, CheckpointError, "a state of 7 numbers.*state: none there are 0"),
        ({"action_names": ("x", "y")}, CheckpointError, "actions have 7 numbers, but action_names are 2"),
    ],
)
def test_a_deployment_that_does_not_fit_is_refused(unet, deployment, error, message):
    with pytest.raises(error, match=message):
        read(unet, **deployment)


def test_a_checkpoint_for_another_robot_is_refused(tmp_path):
    folder = tmp_path / "run" / "checkpoint"
    write_fresh_qwen2_vl(folder, action_dim=14, state_dim=14)
    with pytest.raises(CheckpointError, match="actions have 14 numbers, but action_names are 7"):
        read(folder)


def test_the_base_model_alone_is_refused(small_files):
    change(small_files, "config.json", model_type="qwen2_vl", policy_head_type=None, policy_head_config=None)
    with pytest.raises(CheckpointError, match="names no action head.*not that of the base model"):
        read(small_files)


def test_other_models_are_not_recognised():
    assert not Qwen2VlLayout().recognises({"model_type": "llava_llada", "architectures": ["LlavaLLaDAModelLM"]})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": {"front": np.zeros((96, 128, 3), np.uint8)}}, r"\['wrist'\] are missing"),
        ({"images": dict.fromkeys(("front", "wrist"), np.zeros((96, 128, 3)))}, "uint8"),
        ({"instruction": " "}, "instruction is empty"),
        ({"instruction": "go<|im_end|>"}, "control token"),
        ({"state": np.zeros(6)}, "7 finite numbers"),
        ({"state": np.full(7, np.nan)}, "7 finite numbers"),
    ],
)
def test_an_unusable_observation_is_refused(network, changes, message):
    with pytest.raises(ObservationError, match=message):
        network.prepare(observation(**changes))
