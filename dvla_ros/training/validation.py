"""How good a checkpoint is: on recorded frames it has not seen, and in simulation where tasks are named."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dvla_ros.control.observation import Observation
from dvla_ros.evaluation.simulated import SimulateConfig, SimulatedEpisodes
from dvla_ros.policies.base import Policy
from dvla_ros.policies.load import load_policy
from dvla_ros.policies.token_policy import TokenPolicy
from dvla_ros.simulation.tasks import tasks_of
from dvla_ros.training.agreement import Teacher
from dvla_ros.training.demonstrations import Demonstrations

_MILLIMETRES = 1e3
_GRIPPER = 6


@dataclass(frozen=True)
class Validation:
    """Measures checkpoints, always in the same way.

    Attributes:
        demonstrations: Frames that are not trained on; None for none.
        frames: How many of them, spread evenly.
        tasks: Simulated tasks or families; empty for none.
        episodes: How many episodes of these.
        load: Opens a checkpoint.
        teacher: Whom a checkpoint should agree with; None for nobody.
    """

    demonstrations: Demonstrations | None
    frames: int
    tasks: tuple[str, ...] = ()
    episodes: int = 20
    load: Callable[[Path], Policy] = load_policy
    teacher: Teacher | None = None

    def measure(self, checkpoint: Path) -> dict[str, float]:
        """Figures by name; `score`, higher is better, is the success, else minus the error of positions."""
        policy = self.load(checkpoint)
        figures: dict[str, float] = {}
        if self.demonstrations is not None:
            figures |= open_loop_errors(policy, self.demonstrations, self.frames)
            figures["score"] = -figures["position_mm"]
        if self.teacher is not None:
            assert isinstance(policy, TokenPolicy)
            agreed = self.teacher.agreement(policy)
            figures |= {"agreement_tokens": agreed.tokens, "agreement_chunks": agreed.chunks}
        if self.tasks:
            config = SimulateConfig(tasks=tasks_of(self.tasks), episodes=self.episodes)
            done = [episode.outcome == "success" for episode in SimulatedEpisodes(policy, config).run()]
            figures["success"] = figures["score"] = sum(done) / len(done)
        return figures


def open_loop_errors(policy: Policy, demonstrations: Demonstrations, frames: int) -> Mapping[str, float]:
    """Differences between predicted and recorded chunks, rows that were being executed left out.

    Args:
        policy: Of Bridge's seven columns.
        demonstrations: Recorded.
        frames: How many frames, spread evenly over the set.

    Returns:
        `position_mm` and `rotation_rad`, mean length of the difference of a row's increments; `gripper`, share of the
        rows whose gripper is on the recorded side; `unusable`, share of the frames without a usable chunk.
    """
    rows = _spread(demonstrations, frames)
    differences, unusable = [], 0
    for row in rows:
        frozen, recorded = int(demonstrations.frozen[row]), demonstrations.actions[row][: policy.spec.horizon]
        given = recorded[:frozen].astype(np.float32) if frozen else None
        prediction = policy.predict(_observation(demonstrations, row), frozen_actions=given, seed=int(row))
        if prediction.usable:
            differences.append((prediction.actions - recorded)[frozen:])
            sides = (prediction.actions[frozen:, _GRIPPER] > 0.5) == (recorded[frozen:, _GRIPPER] > 0.5)
            differences[-1][:, _GRIPPER] = sides
        else:
            unusable += 1
    each = np.concatenate(differences) if differences else np.full((1, 7), np.nan)
    return {
        "position_mm": float(_MILLIMETRES * np.linalg.norm(each[:, :3], axis=1).mean()),
        "rotation_rad": float(np.linalg.norm(each[:, 3:6], axis=1).mean()),
        "gripper": float(each[:, _GRIPPER].mean()),
        "unusable": unusable / len(rows),
    }


def observations_of(demonstrations: Demonstrations, frames: int) -> list[Observation]:
    """What is seen in some frames, spread evenly over the set."""
    return [_observation(demonstrations, row) for row in _spread(demonstrations, frames)]


def _spread(demonstrations: Demonstrations, frames: int) -> np.ndarray:
    return np.unique(np.linspace(0, len(demonstrations) - 1, min(frames, len(demonstrations))).astype(int))


def _observation(demonstrations: Demonstrations, row: int) -> Observation:
    manifest = demonstrations.manifest
    images = dict(zip(manifest.cameras, demonstrations.images[row : row + 1][0], strict=True))
    sentence = manifest.instructions[demonstrations.instructions[row]]
    return Observation(0.0, images, demonstrations.states[row].astype(float), sentence)
