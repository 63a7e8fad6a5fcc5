"""A golden chunk: what a checkpoint once answered to one observation, kept beside it to be asked again.

The file is a safetensors file: the observation, the answer, and how it came about. It catches what no look at the
files can: another preprocessing, another attention, weights of another run.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dvla_ros.control.observation import Observation
from dvla_ros.errors import CheckpointError
from dvla_ros.policies.base import Policy

GOLDEN = "golden_chunk.safetensors"
_IMAGE = "image."
_LARGEST = 64 * 2**20
_NEAR = 0.01
_TOLERATED = 0.05


@dataclass(frozen=True)
class GoldenChunk:
    """One observation and its answer.

    Attributes:
        observation: What was seen.
        actions: float32 `[H, D]`, what was answered.
        seed: Of the answer.
        device: Kind of device it was computed on: `cpu` or `cuda`.
        spread: float32 `[D]`, range of each column that differences are measured by.
    """

    observation: Observation
    actions: np.ndarray
    seed: int
    device: str
    spread: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))

    @classmethod
    def record(cls, policy: Policy, observation: Observation, device: str, seed: int = 0) -> "GoldenChunk":
        """Ask a policy.

        Raises:
            CheckpointError: Its answer is malformed.
        """
        prediction = policy.predict(observation, seed=seed)
        if not prediction.usable:
            raise CheckpointError(f"The answer is malformed, so it cannot be golden: {prediction.malformed}")
        spread = np.maximum(np.ptp(prediction.actions, axis=0), 1e-3).astype(np.float32)
        return cls(observation, prediction.actions.astype(np.float32), seed, device.split(":", maxsplit=1)[0], spread)

    def save(self, path: Path) -> None:
        """Write or overwrite the file."""
        arrays = {f"{_IMAGE}{name}": np.ascontiguousarray(image) for name, image in self.observation.images.items()}
        arrays |= {"state": self.observation.state, "actions": self.actions, "spread": self.spread}
        words = {"instruction": self.observation.instruction, "seed": self.seed, "device": self.device}
        save_file(arrays, path, metadata={"golden_chunk": json.dumps(words)})

    @classmethod
    def load(cls, path: Path) -> "GoldenChunk":
        """Read a file.

        Raises:
            CheckpointError: It is no such file.
        """
        if path.stat().st_size > _LARGEST:
            raise CheckpointError(f"{path} has {path.stat().st_size} bytes; no golden chunk is that long.")
        try:
            with safe_open(path, framework="numpy") as file:
                words = json.loads((file.metadata() or {})["golden_chunk"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # it is no mapping
            images = {n.removeprefix(_IMAGE): array for n, array in arrays.items() if n.startswith(_IMAGE)}
            observation = Observation(0.0, images, arrays["state"].astype(np.float64), str(words["instruction"]))
            return cls(observation, arrays["actions"], int(words["seed"]), str(words["device"]), arrays["spread"])
        except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
            raise CheckpointError(f"{path} is no golden chunk: {error!r}; write it anew with 'dvla golden'.") from error

    def difference(self, policy: Policy) -> str:
        """What is different about the policy's answer today, in words; "" where nothing is.

        Up to one number in twenty may differ by more than a hundredth of its column's range: sampled tokens turn over
        where two are all but equally likely.

        Raises:
            ObservationError: The policy cannot use the observation.
        """
        seen, needed = sorted(self.observation.images), sorted(policy.spec.cameras)
        if seen != needed:
            return f"it was recorded with the cameras {seen}, the policy is to use {needed}"
        actions = policy.predict(self.observation, seed=self.seed).actions
        if actions.shape != self.actions.shape:
            return f"it has the shape {list(self.actions.shape)}, the policy answers {list(actions.shape)}"
        far = ~(np.abs(actions - self.actions) <= _NEAR * self.spread)
        if far.mean() <= _TOLERATED:
            return ""
        worst = float(np.nanmax(np.abs(actions - self.actions) / self.spread)) if np.isfinite(actions).any() else np.nan
        return (
            f"{far.mean():.0%} of the numbers differ by more than {_NEAR:.0%} of their range, the worst by {worst:.0%}"
        )


def golden_problem(policy: Policy, folder: Path) -> tuple[str, str]:
    """What is wrong with a policy by the golden chunk of its folder, and what there is to say where nothing is wrong.

    Another kind of device rounds otherwise: a difference is then told and no problem.

    Raises:
        CheckpointError: The file is no golden chunk.
        ObservationError: The policy cannot use its observation.
    """
    path = folder / GOLDEN
    if not path.is_file():
        return "", "none is shipped; 'dvla golden' writes one"
    golden = GoldenChunk.load(path)
    difference, device = golden.difference(policy), policy.device.type
    if not difference:
        return "", "answered as recorded"
    if device != golden.device:
        return "", f"recorded on {golden.device}, asked on {device}: {difference}"
    return (
        f"{difference}. Preprocessing, attention, decoder or weights are not those it was recorded with; check the "
        f"deployment file, or write {path.name} anew with 'dvla golden'."
    ), ""


def require_golden(policy: Policy, folder: Path) -> None:
    """Refuse a policy that does not answer as its folder's golden chunk says.

    Raises:
        CheckpointError: It does not, or the file is no golden chunk.
    """
    problem, _ = golden_problem(policy, folder)
    if problem:
        raise CheckpointError(f"{folder} failed the test of its golden chunk: {problem}")
