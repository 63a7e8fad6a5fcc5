"""A published checkpoint is loaded, trained further and written back in the form it had."""

import filecmp
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from dvla_ros.errors import CheckpointError
from dvla_ros.policies.load import load_policy
from dvla_ros.policies.published.fresh import WRITERS
from dvla_ros.policies.published.recognise import read_setup
from dvla_ros.policies.published.self_tests import blank_observation
from dvla_ros.policies.published.write_back import write_back
from dvla_ros.weights.tensor_files import TensorFiles

SYSTEMS = tuple(WRITERS)
CPU = torch.device("cpu")


def opened(folder, deployment):
    setup = read_setup(folder, deployment)
    return setup, setup.network(CPU, torch.float32)


def weight_files(folder):
    return sorted(path.name for path in folder.glob("*.safetensors*"))


def trained_a_little(setup, network):
    """Losses of a few steps towards one chunk, with the decoder's own view of the canvas or the head's of the noise."""
    parameters = [parameter.requires_grad_(True) for parameter in network.model.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3)
    losses = []
    with torch.enable_grad():
        for _ in range(4):
            loss = loss_of(setup, network)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    for parameter in parameters:
        parameter.requires_grad_(False)
    return losses


def loss_of(setup, network):
    inputs = network.prepare(blank_observation(setup))
    return masked_loss(setup, network, inputs) if setup.codec else noise_loss(setup, network, inputs)


def masked_loss(setup, network, inputs):
    canvas = network.canvas
    rows = np.zeros((setup.codec.horizon, setup.codec.dim), np.float32)
    rows[:, -1] = 0.5  # the FAST tokenizer of a fresh checkpoint writes small numbers only
    wanted = torch.from_numpy(setup.codec.encode(rows))[None]
    context = network.prefill(inputs, rows[:0])
    tokens, _ = canvas.initial(1, None, CPU)
    logits = network.logits(context, tokens)[:, -wanted.shape[1] :, : setup.codec.vocabulary]
    return functional.cross_entropy(logits.flatten(0, 1), wanted.flatten())


def noise_loss(setup, network, inputs):
    noise = torch.randn((1, setup.spec.horizon, 7), generator=torch.Generator().manual_seed(0))
    condition = network.condition(network.prefill(inputs), None, inputs)
    predicted = network.policy_head(noise, torch.tensor([50]), condition)
    return functional.mse_loss(predicted, noise)


@pytest.mark.parametrize("system", SYSTEMS)
def test_untouched_it_is_the_same_bit_for_bit(system, fresh, deployment_of, tmp_path):
    folder = fresh(system)
    setup, network = opened(folder, deployment_of(system))
    write_back(setup, network, tmp_path / "copy")
    assert weight_files(tmp_path / "copy") == weight_files(folder)
    for name in weight_files(folder):
        if name.endswith(".json"):
            assert json.loads((tmp_path / "copy" / name).read_text()) == json.loads((folder / name).read_text())
            continue
        before, after = load_file(folder / name), load_file(tmp_path / "copy" / name)
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) and before[key].dtype == after[key].dtype for key in before)


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_other_file_is_copied_as_it_is(system, fresh, deployment_of, tmp_path):
    folder = fresh(system)
    setup, network = opened(folder, deployment_of(system))
    write_back(setup, network, tmp_path / "copy")
    small = {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.name not in weight_files(folder) and "lora_adapter" not in path.parts
    }
    written = {str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert written == small | set(weight_files(folder))
    whole = [name for name in small if not name.endswith(".pt")]
    assert filecmp.cmpfiles(folder, tmp_path / "copy", whole, shallow=False)[1:] == ([], [])


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_was_trained_is_what_is_loaded(system, fresh, deployment_of, tmp_path):
    setup, network = opened(fresh(system), deployment_of(system))
    losses = trained_a_little(setup, network)
    assert losses[-1] < losses[0]
    folder = tmp_path / "trained" / "checkpoint"
    write_back(setup, network, folder)
    for path in setup.folder.parent.glob("*.pkl"):  # DexVLA's statistics lie beside the folder
        (folder.parent / path.name).write_bytes(path.read_bytes())
    load_policy(folder, deployment=deployment_of(system))
    again, reloaded = opened(folder, deployment_of(system))
    assert weight_files(folder) == weight_files(setup.folder)
    with torch.no_grad():
        old = TensorFiles.open(setup.folder)
        new = TensorFiles.open(folder)
        assert any(not torch.equal(old.read(name), new.read(name)) for name in old.names)
        both = [loss_of(setup, each) for each in (network, reloaded)]
    assert float(both[0]) == pytest.approx(float(both[1]), rel=0.05)  # bfloat16 in between
    assert again.spec == setup.spec


def test_the_projector_of_the_state_is_written_into_its_own_file(fresh, deployment_of, tmp_path):
    setup, network = opened(fresh("dd_vla"), deployment_of("dd_vla"))
    with torch.no_grad():
        network.projector.fc1.bias += 1.0
    write_back(setup, network, tmp_path / "copy")
    name = setup.proprio.path.name
    before, after = (torch.load(where / name, weights_only=True) for where in (setup.folder, tmp_path / "copy"))
    assert before.keys() == after.keys()
    (bias,) = (key for key in before if key.endswith("fc1.bias"))
    torch.testing.assert_close(after[bias].float(), before[bias].float() + 1.0, atol=1e-2, rtol=1e-2)


def test_a_folder_that_holds_something_is_not_written_into(fresh, deployment_of):
    setup, network = opened(fresh("dd_vla"), deployment_of("dd_vla"))
    with pytest.raises(CheckpointError, match="holds something already"):
        write_back(setup, network, setup.folder)
