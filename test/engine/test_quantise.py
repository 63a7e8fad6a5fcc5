"""Weights in 8 bits: what becomes smaller, how far answers move, and what is said where it cannot be done."""

import json
import os
import subprocess
import sys
from pathlib import Path

import in_8_bits
import pytest
import torch
from in_8_bits import CONFIG, hidden, made_trunk
from untrained import write_untrained

from dvla_ros.engine.quantise import quantise, require_weights
from dvla_ros.engine.weight_form import BYTES, WEIGHTS
from dvla_ros.errors import ConfigurationError, DependencyError

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
TORCHAO = ROOT / ".ros/torchao"


@pytest.fixture
def trunk():
    return made_trunk()


@pytest.fixture(scope="module")
def quantised(tmp_path_factory):
    """What `in_8_bits.py` found."""
    checkpoint = write_untrained(tmp_path_factory.mktemp("policy") / "it")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TORCHAO), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, in_8_bits.__file__, str(checkpoint)]
    done = subprocess.run(command, check=False, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("weights", ["int8", "int8_dynamic"])
def test_weights_become_a_quarter_of_float32_and_answers_move_little(quantised, weights):
    found = quantised[weights]
    assert found["count"] == 7 * CONFIG.layers
    assert found["norms"]
    assert 1e-4 < found["off"] < 0.05


def test_a_loaded_policy_answers_with_smaller_weights(quantised):
    assert quantised["policy"]["count"] > 0
    assert quantised["policy"]["usable"]


def test_unchanged_weights_need_nothing(trunk, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchao", None)
    expected = hidden(trunk)
    quantise(trunk, "bf16")
    assert torch.equal(hidden(trunk), expected)


def test_without_torchao_the_error_says_how_to_install_it(trunk, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchao", None)
    monkeypatch.setitem(sys.modules, "torchao.quantization", None)
    with pytest.raises(DependencyError, match=r"pip install 'dvla_ros\[quantise\]'"):
        quantise(trunk, "int8")


def test_float8_on_a_cpu_is_refused():
    with pytest.raises(ConfigurationError, match="weights=fp8 needs an NVIDIA GPU, the device is cpu"):
        require_weights("fp8", CPU)


def test_an_unknown_way_is_refused_with_those_there_are():
    with pytest.raises(ConfigurationError, match="bf16, int8, int8_dynamic, fp8, got 'int4'"):
        require_weights("int4", CPU)
    assert set(BYTES) == set(WEIGHTS) - {"bf16"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("weights", ["int8", "int8_dynamic", "fp8"])
def test_on_the_gpu_answers_move_little_and_can_be_captured(quantised, weights):
    found = quantised["gpu"][weights]
    assert found["off"] < 0.1
    assert not found["failure"]
