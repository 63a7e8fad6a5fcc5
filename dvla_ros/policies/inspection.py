"""What a checkpoint folder holds, recognised and in words; its weights are not loaded."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from dvla_ros.actions.normalization import Normalizer
from dvla_ros.denoising.registry import complete_settings
from dvla_ros.engine.cache_plan import CachePlan
from dvla_ros.engine.memory_plan import GIGABYTE, Setting, WorkingSet, plan_memory
from dvla_ros.engine.weight_form import UNCHANGED
from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.policies.base import PolicySpec
from dvla_ros.policies.checkpoint import WEIGHTS, read_config, read_statistics
from dvla_ros.policies.golden import GOLDEN
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.recognise import is_published
from dvla_ros.weights.tensor_files import TensorFiles


@dataclass(frozen=True)
class Column:
    """Bounds of one number of an action: what becomes -1 and what becomes 1, in physical units."""

    name: str
    low: float
    high: float
    normalized: bool


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        facts: Name of a fact, and what it is.
        columns: Of an action.
        problems: Why the checkpoint cannot be used as it is; none where it can.
    """

    facts: Mapping[str, str]
    columns: tuple[Column, ...] = ()
    problems: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """As plain values."""
        return asdict(self)


def inspect(folder: Path, deployment: Deployment | None = None) -> Inspection:
    """Look at a checkpoint folder of this repository or of a published system.

    Raises:
        CheckpointError: The folder is none of these, or a file is missing or broken.
        ConfigurationError: The deployment does not fit.
    """
    if is_published(folder) or deployment is not None:
        return _inspect_published(folder, deployment or Deployment())
    return _inspect_own(folder)


def _inspect_own(folder: Path) -> Inspection:
    config = read_config(folder)
    statistics = read_statistics(folder, config.spec)
    files = TensorFiles.of_file(folder, WEIGHTS)
    facts = {"layout": "this repository's own", **_spec_facts(config.spec), **_weight_facts(files, files.nbytes)}
    facts |= {"decoder": _settings(config.decoding), "golden chunk": _golden(folder)}
    return Inspection(facts, _columns(config.spec, config.coding.normalizer(statistics)))


def _inspect_published(folder: Path, deployment: Deployment) -> Inspection:
    # Bring transformers' towers with them.
    from dvla_ros.policies.published.recognise import read_setup
    from dvla_ros.policies.published.self_tests import check_setup
    from dvla_ros.weights.fit import expected_tensors, fit_problems

    setup = read_setup(folder, deployment)
    skeleton = setup.skeleton()
    problems = [test.problem for test in check_setup(setup) if test.problem]
    parameters = sum(parameter.numel() for parameter in skeleton.module.parameters())
    facts = {"layout": f"published, {setup.system}", **_spec_facts(setup.spec)}
    facts |= {"parameters": f"{parameters / 1e9:.2f} billion" if parameters > 1e8 else f"{parameters:,}"}
    try:
        files = setup.tensors()
        fit = fit_problems(
            files,
            expected_tensors(skeleton.module, skeleton.locate),
            ignored=skeleton.ignored,
            tied=skeleton.tied,
        )
        problems += [f"weights: {fit}"] if fit else []
        facts |= {"tensors": f"{len(files.names)}, {'all fit' if not fit else 'see below'}"}
    except DvlaError as error:
        problems.append(str(error))
    facts |= _memory(skeleton.module, setup.working_set(), deployment) | dict(setup.facts())
    facts |= {
        "gripper": deployment.gripper,
        "decoder": _settings(setup.decoding),
        "golden chunk": _golden(folder),
    }
    return Inspection(facts, _columns(setup.spec, setup.normalizer), tuple(problems), dict(deployment.files))


def _spec_facts(spec: PolicySpec) -> dict[str, str]:
    return {
        "system": spec.system,
        "cameras": ", ".join(spec.cameras),
        "state": f"{spec.state_dim} numbers" if spec.state_dim else "none",
        "action": f"{spec.mode.name}: {', '.join(spec.action_names)}",
        "chunk": f"{spec.horizon} actions of {spec.dt:g} s, {spec.execute_steps} executed before the next look",
        "extras": ", ".join(
            name for name, has in (("imagined images", spec.imagines), ("reasoning", spec.reasons)) if has
        )
        or "none",
    }


def _weight_facts(files: TensorFiles, nbytes: int) -> dict[str, str]:
    kinds = sorted({str(files.dtype(name)).removeprefix("torch.") for name in files.names})
    return {"weights": f"{len(files.names)} tensors, {nbytes / 1e6:.1f} MB, {', '.join(kinds)}"}


def _memory(networks: nn.Module, work: WorkingSet, deployment: Deployment) -> dict[str, str]:
    on_gpu = Setting(torch.bfloat16, deployment.weights, CachePlan.parse(deployment.cache).name)
    on_cpu = replace(on_gpu, dtype=torch.float32, weights=UNCHANGED, graphs=False)
    gpu, cpu = plan_memory(networks, work, on_gpu), plan_memory(networks, work, on_cpu)
    return {
        "memory needed": f"{gpu.needed / GIGABYTE:.2f} GB on a GPU (bfloat16: {gpu.parts()}), "
        f"{cpu.needed / GIGABYTE:.2f} GB on a CPU (float32: {cpu.parts()})"
    }


def _settings(decoding: Mapping[str, object]) -> str:
    try:
        complete = complete_settings(decoding)
    except ConfigurationError:
        complete = dict(decoding)
    return ", ".join(f"{name}={value}" for name, value in complete.items())


def _golden(folder: Path) -> str:
    return "shipped" if (folder / GOLDEN).is_file() else "none"


def _columns(spec: PolicySpec, normalizer: Normalizer) -> tuple[Column, ...]:
    bounds = zip(spec.action_names, normalizer.low, normalizer.high, np.asarray(normalizer.mask), strict=False)
    return tuple(Column(name, float(low), float(high), bool(mask)) for name, low, high, mask in bounds)
