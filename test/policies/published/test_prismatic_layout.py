"""A Discrete Diffusion VLA directory is read and run as it was written, or refused with what is wrong and the fix."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dvla_ros.control.observation import Observation
from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.fresh_prismatic import write_fresh_prismatic
from dvla_ros.policies.published.prismatic_layout import PrismaticLayout, PrismaticSetup
from dvla_ros.policies.token_policy import TokenPolicy
from dvla_ros.weights.fit import expected_tensors, fit_problems

CPU = torch.device("cpu")
PART = "proprio_projector--50000_checkpoint.pt"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dd_vla") / "run--50000_chkpt"
    write_fresh_prismatic(folder, size="small")
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy to spoil."""
    copy = tmp_path / written.name
    shutil.copytree(written, copy)
    yield copy


def read(folder: Path, **deployment: Any) -> PrismaticSetup:
    config = json.loads((folder / "config.json").read_text())
    return PrismaticLayout().read(folder, config, Deployment(**deployment))


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def some_observation() -> Observation:
    generator = np.random.default_rng(0)
    images = {name: generator.integers(0, 256, (48, 64, 3), dtype=np.uint8) for name in ("front", "wrist")}
    state = np.array([0.3, 0.0, 0.1, 0.0, 0.0, 0.0, 1.0])
    return Observation(0.0, images, state, "Pick up the red cube")


def test_only_openvla_is_recognised() -> None:
    layout = PrismaticLayout()
    assert layout.recognises({"model_type": "openvla"})
    assert layout.recognises({"architectures": ["OpenVLAForActionPrediction"]})
    assert not layout.recognises({"model_type": "llava_llada", "architectures": ["LlavaLLaDAModelLM"]})
    assert not layout.recognises({"architectures": None})


def test_a_small_directory_predicts_a_chunk_inside_its_statistics(written: Path) -> None:
    setup = read(written)
    network = setup.network(CPU, torch.float32)
    policy = TokenPolicy(setup.spec, network, setup.codec, setup.decoding)
    prediction = policy.predict(some_observation(), seed=1)
    assert prediction.nfe == 12
    assert prediction.actions.shape == (5, 7)
    low, high = setup.statistics.action.q01, setup.statistics.action.q99
    assert (prediction.actions[:, :6] >= low[:6] - 1e-6).all() and (prediction.actions[:, :6] <= high[:6] + 1e-6).all()
    assert (np.abs(prediction.actions[:, 6]) <= 1).all()  # the gripper's bin is not un-normalised


@torch.no_grad()
def test_bfloat16_gives_nearly_the_same_scores(written: Path) -> None:
    setup = read(written)
    scores = []
    for dtype in (torch.float32, torch.bfloat16):
        network = setup.network(CPU, dtype)
        context = network.prefill(network.prepare(some_observation()), np.zeros((0, 7), np.float32))
        tokens, _ = network.canvas.initial(1, None, CPU)
        scores.append(network.logits(context, tokens))
    assert scores[1].dtype == torch.bfloat16
    assert scores[0].shape == (1, 35, 256)
    assert (scores[1].float() - scores[0]).abs().max() < 0.1 * scores[0].std()


def test_nothing_is_written_into_the_directory(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}
    read(folder).network(CPU, torch.float32)
    assert {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))} == before


def test_released_decoding_is_the_default(written: Path) -> None:
    decoding = read(written).decoding
    assert decoding["decoder"] == "masked" and decoding["num_steps"] == 12
    assert (decoding["order"], decoding["values"], decoding["remask"]) == ("confidence", "categorical", "none")
    assert read(written, decoding={"num_steps": 3}).decoding["num_steps"] == 3


def test_facts_name_what_was_recognised(written: Path) -> None:
    facts = read(written).facts()
    assert "31744..31999" in facts["action tokens"] and "32001" in facts["action tokens"]
    assert "512 patches of 2 cameras, 1 state, prompt, 35 actions, EOS" in facts["sequence"]
    assert "sees" in facts["attention"] and "bridge_orig" in facts["statistics"] and "gripper" in facts["statistics"]


def test_the_skeleton_names_all_and_only_what_is_in_the_files(written: Path) -> None:
    setup = read(written)
    skeleton = setup.skeleton()
    assert all(parameter.is_meta for parameter in skeleton.module.parameters())
    assert not fit_problems(setup.tensors(), expected_tensors(skeleton.module, skeleton.locate))


@pytest.mark.parametrize(
    "key, horizon, bounds",
    [
        ("libero_spatial_no_noops", 8, "quantile"),
        ("aloha_fold", 25, "min_max"),
        ("bridge_orig", 5, "quantile"),
        ("widowx_lab", 8, "quantile"),
    ],
)
def test_the_data_set_says_how_long_a_chunk_is(folder: Path, key: str, horizon: int, bounds: str) -> None:
    edit(folder / "dataset_statistics.json", lambda values: values.update({key: values.pop("bridge_orig")}))
    setup = read(folder)
    assert (setup.spec.horizon, setup.spec.execute_steps, setup.statistics.platform.bounds) == (
        horizon,
        horizon,
        bounds,
    )
    statistics = setup.statistics.action
    assert setup.codec.normalizer.low[0] == (statistics.q01 if bounds == "quantile" else statistics.min)[0]


def test_the_deployment_says_how_long_a_chunk_is(written: Path) -> None:
    spec = read(written, horizon=3, execute_steps=2).spec
    assert (spec.horizon, spec.execute_steps) == (3, 2)
    with pytest.raises(ConfigurationError, match="execute_steps must be at most the 3"):
        read(written, horizon=3, execute_steps=4)


def test_statistics_beside_the_weights_win_over_those_in_the_config(folder: Path) -> None:
    blocks = json.loads((folder / "dataset_statistics.json").read_text())
    edit(folder / "config.json", lambda values: values.update(norm_stats={"libero_10": blocks["bridge_orig"]}))
    assert read(folder).statistics.key == "bridge_orig"
    (folder / "dataset_statistics.json").unlink()
    setup = read(folder)
    assert (setup.statistics.key, setup.statistics.source.name) == ("libero_10", "config.json")


def statistics_without(folder: Path) -> None:
    (folder / "dataset_statistics.json").unlink()


def statistics_of_two(folder: Path) -> None:
    edit(folder / "dataset_statistics.json", lambda values: values.update(other=values["bridge_orig"]))


def in_block(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "dataset_statistics.json", lambda values: change(values["bridge_orig"]))


def shortened(block: dict[str, Any], names: tuple[str, ...], count: int) -> None:
    for name in names:
        block[name] = {key: column[:count] for key, column in block[name].items()}


def lengthened_state(block: dict[str, Any]) -> None:
    block["proprio"] = {key: [*column, 0.5] for key, column in block["proprio"].items()}


def state_part(folder: Path, **shapes: tuple[int, ...]) -> None:
    torch.save({name.replace("_", "."): torch.zeros(shape) for name, shape in shapes.items()}, folder / PART)


def libero_state(folder: Path) -> None:
    in_block(lengthened_state)(folder)
    state_part(folder, fc1_weight=(32, 8), fc1_bias=(32,), fc2_weight=(32, 32), fc2_bias=(32,))


def other_part(name: str) -> Callable[[Path], None]:
    return lambda folder: torch.save({"x": torch.zeros(1)}, folder / f"{name}--50000_checkpoint.pt")


def in_config(**changes: object) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "config.json", lambda values: values.update(changes))


def in_preprocessor(**changes: object) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "preprocessor_config.json", lambda values: values.update(changes))


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


DEFECTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no statistics": (statistics_without, "no dataset_statistics.json.*Copy the"),
    "two data sets, no key": (statistics_of_two, r"Name one of the data sets.*\['bridge_orig', 'other'\]"),
    "no action block": (in_block(lambda block: block.pop("action")), "no statistics of actions"),
    "no q01": (in_block(lambda block: block["action"].pop("q01")), "bridge_orig, action: .* lack .*q01"),
    "columns of two lengths": (in_block(lambda block: block["action"]["q01"].pop()), "one shape"),
    "text for numbers": (in_block(lambda block: block["action"].update(q01="low")), "no lists of numbers"),
    "low above high": (in_block(lambda block: block["action"].update(q01=[9.0] * 7)), "action: Bounds must be finite"),
    "wrong action width": (in_block(lambda block: shortened(block, ("action",), 6)), "6 numbers, the robot takes 7"),
    "no state statistics": (in_block(lambda block: block.pop("proprio")), "no statistics 'proprio'"),
    "wrong state width": (in_block(lengthened_state), "state of 7 numbers, .* statistics of 8"),
    "LIBERO's state": (libero_state, "state of 8 numbers; with state: bridge there are 7.*state: libero.*fine-tune"),
    "a state part of no projector": (lambda folder: state_part(folder, fc3_weight=(2, 2)), r"no fc1.weight \[32, S\]"),
    "a regression head": (other_part("action_head"), "action_head--50000_checkpoint.pt: an action head"),
    "a diffusion variant": (other_part("noisy_action_projector"), "noisy_action_projector.*diffusion variant"),
    "a FiLM variant": (other_part("vision_backbone"), "vision_backbone.*FiLM"),
    "another head": (in_config(use_discrete_diffusion=False), "another head"),
    "another architecture": (in_config(arch_specifier="no-align+gelu-mlp"), "arch_specifier"),
    "letterboxed images": (in_preprocessor(image_resize_strategy="letterbox"), "letterbox"),
    "images of another size": (in_preprocessor(input_sizes=[[3, 384, 384]] * 2), "384 pixels for 2 towers"),
    "no preprocessor": (without("preprocessor_config.json"), "no preprocessor_config.json"),
    "no tokenizer": (without("tokenizer.json"), "no tokenizer.json"),
    "a mask that the tokenizer has elsewhere": (in_config(mask_token_id=32005), "<mask> is 32001, .* is 32005"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_refused_with_its_name(folder: Path, defect: str) -> None:
    spoil, message = DEFECTS[defect]
    spoil(folder)
    with pytest.raises(CheckpointError, match=f"(?s){message}"):
        read(folder)


def shard_of(folder: Path, name: str) -> Path:
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    return folder / index["weight_map"][name]


@pytest.mark.parametrize(
    "name, replaced, message",
    [
        ("projector.fc2.bias", {}, r"projector.fc2.bias"),
        ("projector.fc2.bias", {"projector.fc2.bias": (31,)}, r"projector.fc2.bias is \[31\], needs \[32\]"),
        ("projector.fc2.bias", {"projector.fc2.bias": (32,), "projector.fc4.bias": (32,)}, "unexpected .*fc4"),
    ],
    ids=["missing", "misshapen", "unexpected"],
)
def test_weights_that_do_not_fit_are_refused(
    folder: Path, name: str, replaced: dict[str, tuple[int, ...]], message: str
) -> None:
    path = shard_of(folder, name)
    tensors = load_file(path)
    del tensors[name]
    save_file(tensors | {key: torch.zeros(shape) for key, shape in replaced.items()}, path)
    with pytest.raises(CheckpointError, match=message):
        read(folder).network(CPU, torch.float32)


def test_an_unknown_data_set_is_refused(written: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no data set 'fractal'.*bridge_orig"):
        read(written, unnorm_key="fractal")


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"state": "none"}, "takes a state of 7 numbers.*set state: bridge"),
        ({"attention": "merged"}, "attention must be one of"),
        ({"decoding": {"num_stepps": 3}}, "num_stepps"),
    ],
)
def test_a_deployment_that_does_not_fit_is_refused(written: Path, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(written, **wrong)


def test_without_a_projector_the_network_takes_no_state(folder: Path) -> None:
    (folder / PART).unlink()
    with pytest.raises(ConfigurationError, match="takes no state: set state: none"):
        read(folder)
    setup = read(folder, state="none")
    network = setup.network(CPU, torch.float32)
    assert network.prepare(some_observation()).state is None
    assert setup.spec.state_dim == 7  # the robot gives it all the same


def test_of_several_projectors_the_directorys_name_says_which(folder: Path) -> None:
    for step in ("5000", "latest"):
        shutil.copy(folder / PART, folder / f"proprio_projector--{step}_checkpoint.pt")
    setup = read(folder)
    assert setup.proprio is not None and setup.proprio.path.name == PART
    renamed = folder.rename(folder.parent / "run")
    with pytest.raises(CheckpointError, match="several projectors.*50000.*5000.*latest"):
        read(renamed)


def test_a_projector_of_the_only_step_is_taken(folder: Path) -> None:
    (folder / PART).rename(folder / "proprio_projector--latest_checkpoint.pt")
    assert read(folder).proprio is not None


def test_a_projector_outside_of_the_directory_is_refused(folder: Path) -> None:
    elsewhere = (folder / PART).rename(folder.parent / PART)
    (folder / PART).symlink_to(elsewhere)
    with pytest.raises(CheckpointError, match="link out of the checkpoint folder"):
        read(folder)


@torch.no_grad()
def test_an_adapter_is_merged_into_its_base(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "adapted"
    write_fresh_prismatic(folder, size="small", seed=7, adapter="only")
    config = json.loads((written / "config.json").read_text())
    for key in ("use_discrete_diffusion", "use_mask_token", "mask_token_id"):
        del config[key]  # as the base has it
    deployment = Deployment(system="dd_vla", files={"base": str(written)})
    setup = PrismaticLayout().read(folder, config, deployment)
    model = setup.network(CPU, torch.float32).model
    module = "vision_backbone.featurizer.blocks.1.attn.qkv"
    base = load_file(shard_of(written, f"{module}.weight"))[f"{module}.weight"].float()
    factors = load_file(folder / "lora_adapter" / "adapter_model.safetensors")
    down, up = (factors[f"base_model.model.{module}.lora_{side}.weight"].float() for side in "AB")
    keys = (base + up @ down)[32:64]  # rank 4, alpha 4; the second third of the rows
    merged = model.vision_backbone.featurizer.blocks[1].attention.k_proj.weight
    torch.testing.assert_close(merged, keys, atol=1e-3, rtol=1e-2)  # rounded once to bfloat16
    assert not torch.allclose(merged, base[32:64], atol=1e-3)
    assert "merged on load" in setup.facts()["weights"]


def test_an_adapter_beside_merged_weights_is_left_alone(written: Path) -> None:
    assert read(written).weights.adapter is None


def test_an_adapter_without_its_base_is_refused(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "adapted"
    write_fresh_prismatic(folder, size="small", adapter="only")
    config = json.loads((written / "config.json").read_text())
    with pytest.raises(ConfigurationError, match="only the adapter .*files: {base: PATH}"):
        PrismaticLayout().read(folder, config, Deployment())
    del config["use_discrete_diffusion"]
    with pytest.raises(CheckpointError, match="set system: dd_vla"):
        PrismaticLayout().read(folder, config, Deployment(files={"base": str(written)}))
