"""UD-VLA and DFM-VLA checkpoints: a written one is read and answers; each defect is refused with its reason."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dvla_ros.actions.fast import FastTokenizer
from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.control.observation import Observation
from dvla_ros.denoising.flow_paths import embedding_distance
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.registry import make_decoder, override
from dvla_ros.errors import CheckpointError, ConfigurationError, DvlaError
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.emu3_actions import read_codec
from dvla_ros.policies.published.emu3_layout import Emu3Layout, Emu3Setup
from dvla_ros.policies.published.fresh_emu3 import write_fresh_emu3

SMALL_IMAGES = Deployment(image_sizes=((80, 80), (80, 80)))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("emu3") / "checkpoint"
    write_fresh_emu3(folder, size="small", seed=1)
    return folder


@pytest.fixture
def checkpoint(written: Path, tmp_path: Path) -> Path:
    """A copy that a test may break; the large files are links."""
    folder = tmp_path / "place" / "checkpoint"
    shutil.copytree(written, folder, copy_function=lambda a, b: Path(b).hardlink_to(a))
    return folder


@pytest.fixture(scope="module")
def observation() -> Observation:
    random = np.random.default_rng(0)
    images = {name: random.integers(0, 256, (96, 128, 3), dtype=np.uint8) for name in ("front", "wrist")}
    return Observation(0.0, images, np.zeros(7), "pick up the red cube")


def read(folder: Path, deployment: Deployment = SMALL_IMAGES, **changes: Any) -> Emu3Setup:
    values = json.loads((folder / "config.json").read_text())
    return Emu3Layout().read(folder, {**values, **changes}, deployment)


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a JSON file, not the one it is a link to."""
    values = json.loads(path.read_text())
    change(values)
    path.unlink()
    path.write_text(json.dumps(values))


def refusal(folder: Path, deployment: Deployment = SMALL_IMAGES, kind: type[DvlaError] = CheckpointError) -> str:
    with pytest.raises(kind) as raised:
        read(folder, deployment)
    return str(raised.value)


def test_a_written_checkpoint_has_the_published_files(written):
    names = {str(path.relative_to(written)) for path in written.rglob("*") if path.is_file()}
    assert names == {
        "config.json",
        "generation_config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "emu3.tiktoken",
        "emu3_vision_tokens.txt",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "norm_stats.json",
        "fast/processor_config.json",
        "fast/special_tokens_map.json",
        "fast/tokenizer.json",
        "fast/tokenizer_config.json",
        "vision_tokenizer/config.json",
        "vision_tokenizer/model.safetensors",
        "vision_tokenizer/preprocessor_config.json",
    }
    assert sum(path.stat().st_size for path in written.rglob("*") if path.is_file()) < 60e6


def test_ud_vla_predicts_a_chunk_within_its_statistics_and_imagines(written, observation):
    setup = read(written)
    assert (setup.system, setup.attention, setup.spec.imagines) == ("ud_vla", "merged", True)
    assert (setup.spec.horizon, setup.spec.execute_steps, setup.spec.state_dim) == (5, 5, 7)
    assert setup.decoding["decoder"] == "joint" and setup.decoding["num_steps"] == 72
    assert setup.decoding["eoa_token"] == setup.codec.eoa
    network = setup.network(CPU, torch.float32)
    context = network.prefill(network.prepare(observation), np.zeros((0, 7), np.float32))
    decoder = make_decoder(override(setup.decoding, {"num_steps": 2, "greedy": True}))
    result = denoise(lambda tokens: network.logits(context, tokens), network.canvas, decoder, seeds=[0])
    chunk = setup.codec.decode(result.tokens[0, -69:].numpy())
    assert chunk.usable and chunk.actions.shape == (5, 7)
    low, high = setup.normalizer.low, setup.normalizer.high
    assert (chunk.actions >= low - 1e-6).all() and (chunk.actions <= high + 1e-6).all()
    pictures = network.imagined(context, result.tokens[0].numpy())
    assert {name: picture.shape for name, picture in pictures.items()} == dict.fromkeys(("front", "wrist"), (80, 80, 3))


def test_dfm_vla_predicts_chunks_from_the_same_files(written, observation):
    setup = read(written, replace(SMALL_IMAGES, system="dfm_vla"))
    assert (setup.system, setup.attention, setup.spec.imagines) == ("dfm_vla", "full", False)
    assert setup.decoding["decoder"] == "flow"
    network = setup.network(CPU, torch.float32)
    context = network.prefill(network.prepare(observation), np.zeros((0, 7), np.float32))
    decoder = make_decoder(override(setup.decoding, {"fine_steps": 3, "validate_steps": 1}))
    decoder = decoder.with_distance(embedding_distance(network.token_table()))
    result = denoise(lambda tokens: network.logits(context, tokens), network.canvas, decoder, seeds=range(20))
    chunks = [setup.codec.decode(tokens.numpy()) for tokens in result.tokens]
    assert sum(chunk.usable for chunk in chunks) >= 17, "random weights drive all the same"


def test_bfloat16_weights_answer_and_the_image_tokenizer_stays_exact(written, observation):
    network = read(written).network(CPU, torch.bfloat16)
    exact = read(written).network(CPU, torch.float32)
    inputs = network.prepare(observation)
    context = network.prefill(inputs, np.zeros((0, 7), np.float32))
    assert context.prompt.dtype == torch.bfloat16
    expected = exact.prefill(exact.prepare(observation), np.zeros((0, 7), np.float32)).prompt
    assert torch.equal(context.prompt, expected.bfloat16()), "the same codes: the same embeddings"
    tokens, _ = network.canvas.initial(1, None, CPU)
    logits = network.logits(context, tokens)
    assert torch.isfinite(logits[0, -69:, : read(written).codec.vocabulary]).all()


def test_every_tensor_of_the_files_is_needed_and_found(written):
    setup = read(written)
    shards = [load_file(path) for path in sorted(written.glob("model-*.safetensors"))]
    names = {name for shard in shards for name in shard}
    assert setup.tensors().names == names
    assert "model.layers.1.mlp.down_proj.weight" in names and "lm_head.weight" in names
    assert {tensor.dtype for shard in shards for tensor in shard.values()} == {torch.bfloat16}
    vision = load_file(written / "vision_tokenizer" / "model.safetensors")
    assert vision["encoder.mid.attn_1.q.weight"].shape == (64, 64, 1, 1)
    assert vision["decoder.time_res_stack.0.norm1.num_batches_tracked"].dtype == torch.int64


def test_the_seed_makes_the_weights(tmp_path, written):
    write_fresh_emu3(tmp_path / "same", size="small", seed=1)
    write_fresh_emu3(tmp_path / "other", size="small", seed=2)
    first, same, other = (
        (place / "vision_tokenizer" / "model.safetensors").read_bytes()
        for place in (written, tmp_path / "same", tmp_path / "other")
    )
    assert first == same != other


def test_what_was_recognised_is_said(written):
    facts = read(written, replace(SMALL_IMAGES, attention="block_causal")).facts()
    assert facts["attention"] == "block_causal"
    assert "wrist 80x80 as 1*10*10" in facts["images"]
    assert "292 positions, future images and actions" in facts["canvas"]
    assert "room for 1136" in facts["sequence"]


def test_images_have_the_published_sizes_where_none_are_given(written):
    grids = read(written, Deployment()).sequence.grids
    assert [(grid.camera, grid.rows, grid.columns) for grid in grids] == [("front", 25, 25), ("wrist", 10, 10)]
    one = read(written, Deployment(cameras=("front",))).sequence
    assert [(grid.rows, grid.columns) for grid in one.grids] == [(25, 25)]


def test_parts_are_found_beside_the_checkpoint_and_where_the_deployment_says(checkpoint):
    beside = checkpoint.parent
    (checkpoint / "vision_tokenizer").rename(beside / "Emu3-VisionTokenizer")
    (checkpoint / "fast").rename(beside / "fast_bridge_t5_s50")
    (checkpoint / "norm_stats.json").rename(beside / "norm_stats.json")
    (beside / "Emu3-Stage1").mkdir()
    for name in ("emu3.tiktoken", "emu3_vision_tokens.txt"):
        (checkpoint / name).rename(beside / "Emu3-Stage1" / name)
    assert read(checkpoint).vision_folder == beside / "Emu3-VisionTokenizer"

    for old, new in (("Emu3-VisionTokenizer", "a"), ("fast_bridge_t5_s50", "b"), ("Emu3-Stage1", "c")):
        (beside / old).rename(beside / new)
    with pytest.raises(ConfigurationError, match=r"needs 'vision_tokenizer', which is not at .*Emu3-VisionTokenizer"):
        read(checkpoint)
    files = {"vision_tokenizer": str(beside / "a"), "fast": str(beside / "b"), "text_tokenizer": str(beside / "c")}
    assert read(checkpoint, replace(SMALL_IMAGES, files=files)).vision_folder == beside / "a"


def test_several_fast_tokenizers_are_not_chosen_from(checkpoint):
    (checkpoint / "fast").rename(checkpoint / "fast_one")
    shutil.copytree(checkpoint / "fast_one", checkpoint / "fast_two")
    assert "several FAST tokenizers, ['fast_one', 'fast_two']" in refusal(checkpoint, kind=ConfigurationError)
    chosen = replace(SMALL_IMAGES, files={"fast": str(checkpoint / "fast_two")})
    assert read(checkpoint, chosen).codec.horizon == 5


def test_the_universal_fast_tokenizer_is_refused(checkpoint):
    def more_ids(values: dict[str, Any]) -> None:
        vocabulary = values["model"]["vocab"]
        vocabulary.update({chr(0x4E00 + i): len(vocabulary) + i for i in range(2048 - len(vocabulary))})

    rewrite(checkpoint / "fast" / "tokenizer.json", more_ids)
    message = refusal(checkpoint)
    assert "has 2048 ids" in message and "universal tokenizer" in message and "fast_libero_all_t10_s50" in message


@pytest.mark.parametrize(("smallest", "horizon"), [(-158, 10), (-112, 5)])
def test_a_published_fast_folder_does_not_say_its_horizon_but_shows_it(checkpoint, smallest, horizon):
    changes = {"time_horizon": None, "action_dim": None, "scale": 50, "min_token": smallest}
    rewrite(checkpoint / "fast" / "processor_config.json", lambda values: values.update(changes))
    assert read_codec(checkpoint, Deployment()).horizon == horizon
    assert read_codec(checkpoint, Deployment(horizon=8)).horizon == 8


def test_a_horizon_that_contradicts_the_fast_folder_is_refused(written):
    assert "was made for horizon 5, not 10" in refusal(written, replace(SMALL_IMAGES, horizon=10))


def test_a_fast_folder_with_an_impossible_scale_is_refused(checkpoint):
    rewrite(checkpoint / "fast" / "processor_config.json", lambda values: values.update(scale=0, time_horizon=None))
    assert "horizon" in refusal(checkpoint)
    rewrite(checkpoint / "fast" / "processor_config.json", lambda values: values.update(scale=-1, time_horizon=5))
    assert "cannot be used: FAST: scale must be positive, got -1" in refusal(checkpoint)


def test_statistics_of_another_width_are_refused(checkpoint):
    def without_gripper(values: dict[str, Any]) -> None:
        block = values["norm_stats"]["bridge_robot"]
        block.update({name: column[:-1] for name, column in block.items()})

    rewrite(checkpoint / "norm_stats.json", without_gripper)
    assert "are for 6 numbers, an action has 7: dx, dy" in refusal(checkpoint)


def test_statistics_that_are_no_bounds_are_refused(checkpoint):
    rewrite(
        checkpoint / "norm_stats.json", lambda v: v["norm_stats"]["bridge_robot"].update(q01=[1.0] * 7, q99=[0.0] * 7)
    )
    assert "cannot be used: Bounds must be finite with low <= high" in refusal(checkpoint)


def test_missing_statistics_and_unknown_keys_are_refused(checkpoint):
    assert "There is no data set 'libero'" in refusal(checkpoint, replace(SMALL_IMAGES, unnorm_key="libero"))
    (checkpoint / "norm_stats.json").unlink()
    assert "needs 'norm_stats'" in refusal(checkpoint, kind=ConfigurationError)


def test_actions_of_another_width_are_refused(written):
    other = replace(SMALL_IMAGES, action_names=ACTION_NAMES[:-1])
    assert "was made for action_dim 7, not 6" in refusal(written, other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"system": "dd_vla"}, "system must be one of ('ud_vla', 'dfm_vla'), got 'dd_vla'"),
        ({"attention": "full"}, "attention of ud_vla must be one of merged, block_causal, image_causal_first"),
        ({"image_sizes": ((200, 201), (80, 80))}, "image of camera 'front' must have sides that are multiples of 8"),
        ({"image_sizes": ((200, 200), (64, 64))}, "6400 to 1048576 pixels, got [64, 64]; [80, 80] would do"),
        ({"execute_steps": 6}, "execute_steps must be at most the 5 actions"),
        ({"decoding": {"steps": 3}}, "has no settings ['steps']"),
        (
            {"cameras": ("a", "b", "c"), "image_sizes": ((200, 200),) * 3},
            "3 cameras need 3888 positions and more with the instruction, the checkpoint was trained for 1650",
        ),
    ],
)
def test_a_deployment_that_does_not_fit_is_refused(written, changes, message):
    assert message in refusal(written, replace(SMALL_IMAGES, **changes), ConfigurationError)


def test_three_cameras_of_the_published_sizes_need_more_than_the_checkpoint_was_trained_for(written):
    message = refusal(written, Deployment(cameras=("a", "b", "c")), ConfigurationError)
    assert "3 cameras need 1788 positions" in message


def test_experts_are_refused_by_name(written):
    with pytest.raises(CheckpointError, match="action_experts must be False"):
        read(written, action_experts=True)


def test_an_image_tokenizer_of_another_vocabulary_is_refused(checkpoint):
    config = checkpoint / "vision_tokenizer" / "config.json"
    rewrite(config, lambda values: values.update(codebook_size=16384))
    assert "has 16384 codes of 8 pixels, Emu3 has words for 32768 of 8" in refusal(checkpoint)
    rewrite(config, lambda values: values.update(codebook_size=32768, ch_mult=[1, 1, 2]))
    assert "attn_resolutions must name stages as wide as the last one, got 3" in refusal(checkpoint)


def change_weights(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(path)
    change(tensors)
    path.unlink()
    save_file(tensors, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("quantize.embedding.weight"), "1 missing (quantize.embedding.weight)"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "1 unexpected (extra)"),
        (
            lambda tensors: tensors.update({"quant_conv.conv.bias": torch.zeros(5)}),
            "quant_conv.conv.bias is [5], needs [4]",
        ),
    ],
)
def test_an_image_tokenizer_with_wrong_tensors_is_refused(checkpoint, change, message):
    change_weights(checkpoint / "vision_tokenizer" / "model.safetensors", change)
    with pytest.raises(CheckpointError, match=re.escape(message)):
        read(checkpoint).network(CPU, torch.float32)


def test_a_language_model_of_other_sizes_than_its_config_is_refused(written):
    setup = read(written, num_hidden_layers=3)
    with pytest.raises(CheckpointError, match=r"9 missing \(model.layers.2"):
        setup.network(CPU, torch.float32)


def test_a_tokenizer_with_other_ids_is_refused(checkpoint):
    path = checkpoint / "emu3_vision_tokens.txt"
    lines = path.read_text().splitlines()
    path.unlink()
    path.write_text("\n".join(lines[1:]) + "\n")
    assert "expected 151854" in refusal(checkpoint)


def test_only_emu3_is_recognised(written):
    layout = Emu3Layout()
    assert layout.recognises(json.loads((written / "config.json").read_text()))
    assert not layout.recognises({"model_type": "emu3", "architectures": ["Emu3ForConditionalGeneration"]})
    assert not layout.recognises({"model_type": "openvla"})


def test_reading_writes_nothing(written):
    before = {path: path.stat().st_mtime_ns for path in written.rglob("*")}
    read(written).network(CPU, torch.float32)
    assert {path: path.stat().st_mtime_ns for path in written.rglob("*")} == before


def test_the_fast_tokenizer_of_a_written_checkpoint_writes_small_chunks(written):
    codec = read(written).codec
    assert isinstance(codec.tokenizer, FastTokenizer) and codec.tokenizer.vocabulary == 481
    middle = (codec.normalizer.low + codec.normalizer.high) / 2
    chunk = middle + 0.05 * (codec.normalizer.high - middle) * np.random.default_rng(0).uniform(-1, 1, (5, 7))
    again = codec.decode(codec.encode(chunk)).actions
    assert np.abs(again - chunk).max() < 0.01 * (codec.normalizer.high - codec.normalizer.low).max()
