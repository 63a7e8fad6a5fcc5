"""Golden chunks: what a checkpoint once answered, asked again."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from dvla_ros.errors import CheckpointError
from dvla_ros.policies.golden import GOLDEN, GoldenChunk, golden_problem
from dvla_ros.policies.load import load_policy


@pytest.fixture(params=["dd_vla", "llada_vla", "diffusion_vla"])
def recorded(request, write, observation):
    """A checkpoint of each system with its golden chunk."""
    folder = write(request.param)
    GoldenChunk.record(load_policy(folder), observation, "cpu").save(folder / GOLDEN)
    return folder


def test_a_checkpoint_that_answers_as_recorded_is_loaded(recorded):
    policy = load_policy(recorded)
    assert golden_problem(policy, recorded) == ("", "answered as recorded")


def test_a_checkpoint_that_answers_otherwise_is_refused(checkpoint, observation):
    policy = load_policy(checkpoint)
    golden = GoldenChunk.record(policy, observation, "cpu")
    replace(golden, actions=golden.actions + 0.1 * golden.spread).save(checkpoint / GOLDEN)
    with pytest.raises(CheckpointError, match=r"failed the test of its golden chunk: .* of the numbers differ"):
        load_policy(checkpoint)


def test_a_few_tokens_that_turned_over_are_no_difference(checkpoint, observation):
    policy = load_policy(checkpoint)
    golden = GoldenChunk.record(policy, observation, "cpu")
    actions = golden.actions.copy()
    actions[3, :2] += 1.0
    assert replace(golden, actions=actions).difference(policy) == ""
    actions[4, :2] += 1.0
    assert "differ" in replace(golden, actions=actions).difference(policy)


def test_on_another_kind_of_device_a_difference_is_told_and_no_problem(checkpoint, observation):
    policy = load_policy(checkpoint)
    golden = GoldenChunk.record(policy, observation, "cpu")
    replace(golden, actions=golden.actions + 1.0, device="cuda").save(checkpoint / GOLDEN)
    problem, detail = golden_problem(policy, checkpoint)
    assert problem == "" and detail.startswith("recorded on cuda, asked on cpu: ")


def test_another_shape_or_other_cameras_are_named(checkpoint, observation):
    policy = load_policy(checkpoint)
    golden = GoldenChunk.record(policy, observation, "cpu")
    assert "shape" in replace(golden, actions=golden.actions[:3]).difference(policy)
    seen = replace(observation, images={"top": observation.images["front"]})
    assert "cameras ['top']" in replace(golden, observation=seen).difference(policy)


def test_a_decoder_chosen_by_the_caller_is_not_held_to_the_golden_chunk(checkpoint, observation):
    golden = GoldenChunk.record(load_policy(checkpoint), observation, "cpu")
    replace(golden, actions=golden.actions + 1.0).save(checkpoint / GOLDEN)
    load_policy(checkpoint, decoding={"num_steps": 1})


def test_an_answer_of_nan_is_not_golden(checkpoint, observation, monkeypatch):
    policy = load_policy(checkpoint)
    answer = policy.predict(observation, seed=0)
    nothing = replace(answer, actions=np.full_like(answer.actions, np.nan), malformed="no chunk")
    monkeypatch.setattr(policy, "predict", lambda *_, **__: nothing)
    with pytest.raises(CheckpointError, match="cannot be golden: no chunk"):
        GoldenChunk.record(policy, observation, "cpu")


def test_a_file_that_is_no_golden_chunk_is_refused(checkpoint, observation):
    path = checkpoint / GOLDEN
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match=r"is no golden chunk.*write it anew with 'dvla golden'"):
        load_policy(checkpoint)
    path.unlink()
    GoldenChunk.record(load_policy(checkpoint), observation, "cpu").save(path)
    arrays = load_file(path)
    save_file({name: array for name, array in arrays.items() if name != "actions"}, path, metadata={})
    with pytest.raises(CheckpointError, match="is no golden chunk"):
        load_policy(checkpoint)
