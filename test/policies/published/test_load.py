"""Every published layout through the one door: it drives as it lies on disk, or is refused with the reason."""

import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dvla_ros.control.bridge import bridge_state
from dvla_ros.control.observation import Observation
from dvla_ros.control.widowx import FINGER_OPEN, NEUTRAL
from dvla_ros.errors import CheckpointError, ConfigurationError, ObservationError
from dvla_ros.models.trunk import Trunk
from dvla_ros.policies.golden import GOLDEN, GoldenChunk
from dvla_ros.policies.load import load_policy
from dvla_ros.policies.published.fresh import WRITERS
from dvla_ros.policies.published.recognise import is_published, read_setup

SYSTEMS = tuple(WRITERS)
INDEX = "model.safetensors.index.json"


@pytest.fixture
def observation():
    random = np.random.default_rng(0)
    images = {name: random.integers(0, 256, (120, 160, 3), dtype=np.uint8) for name in ("front", "wrist")}
    return Observation(0.0, images, bridge_state(NEUTRAL, FINGER_OPEN), "pick up the red cube")


def seen_by(policy, observation):
    """The observation with the cameras that the policy needs."""
    images = {name: observation.images[name] for name in policy.spec.cameras}
    return Observation(0.0, images, observation.state, observation.instruction)


def rewrite(folder, change):
    """Change the tensors of every shard of a checkpoint."""
    for name in sorted(set(json.loads((folder / INDEX).read_text())["weight_map"].values())):
        tensors = load_file(folder / name)
        change(tensors)
        save_file(tensors, folder / name, metadata={"format": "pt"})
    files = sorted(set(json.loads((folder / INDEX).read_text())["weight_map"].values()))
    index = {tensor: name for name in files for tensor in load_file(folder / name)}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": index}))


def spoil_first(tensors, wanted, change):
    for name in tensors:
        if wanted in name:
            change(name)
            return


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_checkpoint_predicts_a_chunk_inside_its_statistics_and_gripper(system, fresh, deployment_of, observation):
    folder, deployment = fresh(system), deployment_of(system)
    assert is_published(folder)
    policy = load_policy(folder, deployment=deployment)
    prediction = policy.predict(seen_by(policy, observation), seed=0)
    normalizer = read_setup(folder, deployment).normalizer
    assert prediction.usable and prediction.actions.shape == (policy.spec.horizon, 7)
    assert (prediction.actions[:, :6] >= normalizer.low[:6] - 1e-6).all()
    assert (prediction.actions[:, :6] <= normalizer.high[:6] + 1e-6).all()
    assert set(np.unique(prediction.actions[:, 6])) <= {0.0, 1.0}
    assert policy.spec.system == system and policy.spec.state_dim == 7


@pytest.mark.parametrize("system", SYSTEMS)
def test_frozen_rows_are_kept_and_a_seed_repeats_the_answer(system, fresh, deployment_of, observation):
    policy = load_policy(fresh(system), deployment=deployment_of(system))
    seen = seen_by(policy, observation)
    frozen = np.tile(np.array([0.002, -0.001, 0.003, 0.0, 0.01, 0.0, 1.0], np.float32), (2, 1))
    first = policy.predict(seen, frozen_actions=frozen, seed=3)
    np.testing.assert_array_equal(first.actions, policy.predict(seen, frozen_actions=frozen, seed=3).actions)
    assert first.frozen_steps == 2
    assert not first.usable or np.array_equal(first.actions[:2], frozen)


@pytest.mark.parametrize("system", SYSTEMS)
def test_nothing_is_written_into_the_folder(system, copy_of, deployment_of):
    folder = copy_of(system)
    before = {path: path.stat().st_mtime_ns for path in folder.parent.rglob("*")}
    load_policy(folder, deployment=deployment_of(system))
    assert {path: path.stat().st_mtime_ns for path in folder.parent.rglob("*")} == before


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_missing_shard_is_named(system, copy_of, deployment_of):
    folder = copy_of(system)
    shard = sorted(folder.glob("model-*.safetensors"))[-1]
    shard.unlink()
    with pytest.raises(CheckpointError, match=shard.name):
        load_policy(folder, deployment=deployment_of(system))


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("defect", ["missing", "unexpected", "of another shape"])
def test_a_tensor_that_does_not_fit_is_named(system, defect, copy_of, deployment_of):
    folder = copy_of(system)

    def change(tensors):
        name = next((name for name in tensors if "layers.0.mlp.up_proj" in name), None)
        if name is None:
            return
        if defect == "missing":
            del tensors[name]
        elif defect == "unexpected":
            tensors[name.replace("layers.0", "layers.7")] = tensors[name].clone()
        else:
            tensors[name] = tensors[name][:-1].contiguous()

    rewrite(folder, change)
    layer = "layers.7" if defect == "unexpected" else "layers.0"
    with pytest.raises(CheckpointError, match=rf"1 {defect} \(\S*{layer}\.mlp\.up_proj"):
        load_policy(folder, deployment=deployment_of(system))


@pytest.mark.parametrize("system", SYSTEMS)
def test_weights_with_nan_are_refused(system, copy_of, deployment_of):
    folder = copy_of(system)

    def change(tensors):
        for name in tensors:
            if name.endswith("embed_tokens.weight"):
                tensors[name] = tensors[name] * torch.nan

    rewrite(folder, change)
    with pytest.raises(CheckpointError, match="NaN"):
        load_policy(folder, deployment=deployment_of(system))


@pytest.mark.parametrize("system", ["dd_vla", "ud_vla", "dfm_vla", "llada_vla"])
def test_a_data_set_that_the_statistics_do_not_hold_is_named_with_those_they_hold(system, fresh, deployment_of):
    with pytest.raises(CheckpointError, match=r"There is no data set 'kitchen'.*it holds \['\w+'\]"):
        load_policy(fresh(system), deployment=deployment_of(system, unnorm_key="kitchen"))


STATISTICS = {
    "dd_vla": "dataset_statistics.json",
    "ud_vla": "norm_stats.json",
    "dfm_vla": "norm_stats.json",
    "llada_vla": "dataset_statistics.json",
    "diffusion_vla": "../dataset_stats.pkl",
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_missing_statistics_are_refused_with_where_they_were_looked_for(system, copy_of, deployment_of):
    folder = copy_of(system)
    path = folder / STATISTICS[system]
    path.unlink()
    with pytest.raises((CheckpointError, ConfigurationError), match="statistics|norm_stats|dataset_stats"):
        load_policy(folder, deployment=deployment_of(system))


@pytest.mark.parametrize("system", SYSTEMS)
def test_an_action_of_another_width_is_refused_with_both_numbers(system, fresh, deployment_of):
    fewer = deployment_of(system, action_names=("dx", "dy", "dz", "gripper"))
    with pytest.raises((CheckpointError, ConfigurationError), match=r"7.*4|4.*7"):
        load_policy(fresh(system), deployment=fewer)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_camera_that_is_missing_is_named(system, fresh, deployment_of, observation):
    policy = load_policy(fresh(system), deployment=deployment_of(system))
    seen = Observation(0.0, {}, observation.state, observation.instruction)
    with pytest.raises(ObservationError, match="front"):
        policy.predict(seen)


def test_more_cameras_than_the_sequence_has_room_for_are_refused(fresh, deployment_of):
    sizes = ((200, 200), (200, 200), (200, 200))
    cameras = deployment_of("ud_vla", cameras=("front", "wrist", "left"), image_sizes=sizes)
    with pytest.raises((CheckpointError, ConfigurationError), match="1650"):
        load_policy(fresh("ud_vla"), deployment=cameras)


def test_a_number_of_cameras_that_the_config_contradicts_is_refused(copy_of, deployment_of):
    folder = copy_of("dd_vla")
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_images_in_input": 1}))
    with pytest.raises(CheckpointError, match=r"trained with 1 camera.*\['front', 'wrist'\]"):
        load_policy(folder, deployment=deployment_of("dd_vla"))
    load_policy(folder, deployment=deployment_of("dd_vla", cameras=("front",)))


@pytest.mark.parametrize("system", ["dd_vla", "ud_vla", "dfm_vla", "llada_vla"])
def test_a_causal_mask_where_the_weights_want_none_is_found_before_anything_moves(
    system, fresh, deployment_of, monkeypatch
):
    decode = Trunk.decode

    def causal(self, x, cache, mask=None, positions=None):
        length = x.shape[1]
        return decode(self, x, cache, torch.ones(length, cache.length + length).tril(cache.length).bool(), positions)

    monkeypatch.setattr(Trunk, "decode", causal)
    with pytest.raises(CheckpointError, match="attention: the prompt does not see the action tokens, and must"):
        load_policy(fresh(system), deployment=deployment_of(system))


@pytest.mark.parametrize("system", ["dd_vla", "llada_vla"])
def test_weights_of_a_block_causal_fine_tuning_are_not_taken_for_the_released_kind(system, fresh, deployment_of):
    policy = load_policy(fresh(system), deployment=deployment_of(system, attention="block_causal"))
    assert not policy.network.prompt_sees_canvas


@pytest.mark.parametrize("system", ["dd_vla", "llada_vla"])
def test_statistics_of_poses_are_not_taken_for_increments(system, copy_of, deployment_of):
    folder = copy_of(system)
    path = folder / STATISTICS[system]
    blocks = json.loads(path.read_text())
    for block in blocks.values():
        for name in ("q99", "max"):
            block["action"][name][0] = 0.6
    path.write_text(json.dumps(blocks))
    with pytest.raises(CheckpointError, match=r"statistics: .*dx reaches 0\.6: these look like poses"):
        load_policy(folder, deployment=deployment_of(system))


@pytest.mark.parametrize("system", ["dd_vla", "ud_vla", "dfm_vla", "llada_vla"])
def test_action_tokens_that_were_never_trained_are_refused(system, copy_of, deployment_of):
    folder = copy_of(system)

    def change(tensors):
        for name in tensors:
            if name.endswith("embed_tokens.weight"):
                tensors[name] = tensors[name][:1].expand_as(tensors[name]).contiguous()

    rewrite(folder, change)
    with pytest.raises(CheckpointError, match="vocabulary: all action tokens have one embedding"):
        load_policy(folder, deployment=deployment_of(system))


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_golden_chunk_is_asked_again(system, copy_of, deployment_of, observation):
    folder, deployment = copy_of(system), deployment_of(system)
    policy = load_policy(folder, deployment=deployment)
    golden = GoldenChunk.record(policy, seen_by(policy, observation), "cpu")
    golden.save(folder / GOLDEN)
    load_policy(folder, deployment=deployment)

    def change(tensors):
        for name in tensors:
            if "layers.0.mlp.down_proj" in name:
                tensors[name] = -tensors[name]

    rewrite(folder, change)
    with pytest.raises(CheckpointError, match="golden chunk: .*differ"):
        load_policy(folder, deployment=deployment)


def first_shard(folder):
    return sorted(folder.glob("model-*.safetensors"))[0]


def truncated(folder):
    shard = first_shard(folder)
    shard.write_bytes(shard.read_bytes()[:-100])


def gigantic_header(folder):
    shard = first_shard(folder)
    shard.write_bytes((2**62).to_bytes(8, "little") + shard.read_bytes()[8:])


def index_leads_out(folder):
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"] = dict.fromkeys(index["weight_map"], "../../elsewhere.safetensors")
    (folder / INDEX).write_text(json.dumps(index))


def link_leads_out(folder):
    shard = first_shard(folder)
    shard.rename(folder.parent / "elsewhere.safetensors")
    shard.symlink_to(folder.parent / "elsewhere.safetensors")


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("attack", [truncated, gigantic_header, index_leads_out, link_leads_out])
def test_a_hostile_or_broken_folder_is_refused(system, attack, copy_of, deployment_of):
    folder = copy_of(system)
    attack(folder)
    with pytest.raises(CheckpointError, match=r"model-0+1-of|index\.json|elsewhere"):
        load_policy(folder, deployment=deployment_of(system))


class Payload:
    """Unpickling it would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_in_a_pt_part_or_in_the_statistics_runs_nothing(copy_of, deployment_of, tmp_path):
    folder = copy_of("dd_vla")
    part = next(folder.glob("proprio_projector--*.pt"))
    torch.save({"module.fc1.weight": Payload(tmp_path / "ran")}, part)
    with pytest.raises(CheckpointError, match="without running code"):
        load_policy(folder, deployment=deployment_of("dd_vla"))
    folder = copy_of("diffusion_vla")
    with (folder / STATISTICS["diffusion_vla"]).open("wb") as file:
        pickle.dump({"action_min": Payload(tmp_path / "ran")}, file)
    with pytest.raises(CheckpointError, match="open"):
        load_policy(folder, deployment=deployment_of("diffusion_vla"))
    assert not (tmp_path / "ran").exists()


def test_code_that_lies_in_a_folder_is_not_run(copy_of, deployment_of, tmp_path):
    folder = copy_of("dd_vla")
    for name in ("configuration_prismatic.py", "modeling_prismatic.py", "processing_prismatic.py"):
        (folder / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    load_policy(folder, deployment=deployment_of("dd_vla"))
    assert not (tmp_path / "ran").exists()


def test_another_architecture_is_refused_with_those_that_are_known(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["BertModel"], "model_type": "bert"}))
    with pytest.raises(CheckpointError, match=r"BertModel.*prismatic \(dd_vla\)"):
        load_policy(tmp_path)


def test_a_system_of_another_layout_is_refused(fresh, deployment_of):
    with pytest.raises(CheckpointError, match="system: dfm_vla"):
        load_policy(fresh("dd_vla"), deployment=deployment_of("dfm_vla"))


def test_an_adapter_alone_asks_for_its_base(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"holds only a LoRA adapter; .*files: \{base: PATH\}"):
        load_policy(tmp_path)


@pytest.mark.parametrize("text", ["[1, 2]", "{", '{"architectures": ' + "[" * 5000])
def test_a_config_that_is_no_object_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError):
        load_policy(tmp_path)
