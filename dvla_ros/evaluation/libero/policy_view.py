"""What a policy is shown of LIBERO: its cameras by their order, its state by its length."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.observation import Observation
from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.libero.conventions import ACTION_WIDTH, bridge_state, libero_state
from dvla_ros.evaluation.libero.simulator import Look
from dvla_ros.policies.base import PolicySpec
from dvla_ros.preprocessing.rgb_image import rotate_180

STATES: dict[int, Callable[[Look], np.ndarray]] = {7: bridge_state, 8: libero_state}
"""By the numbers that a policy takes."""
_PICTURES = 2


@dataclass(frozen=True)
class PolicyView:
    """How a scene becomes an observation.

    Attributes:
        cameras: The policy's; the first one sees from in front of the table, the second one from the hand.
        state: Scene to state.
        rotate: Whether both pictures are turned by 180 degrees. LIBERO's are upside down; the published systems were
            trained and evaluated on turned ones.
    """

    cameras: tuple[str, ...]
    state: Callable[[Look], np.ndarray]
    rotate: bool

    @classmethod
    def fitting(cls, spec: PolicySpec, rotate: bool) -> "PolicyView":
        """The view of a policy.

        Raises:
            ConfigurationError: It needs what LIBERO has not, or its actions are none that LIBERO takes.
        """
        if not 1 <= len(spec.cameras) <= _PICTURES:
            raise ConfigurationError(
                f"LIBERO has two cameras, in front of the table and in the hand; the policy needs {len(spec.cameras)}: "
                f"{list(spec.cameras)}. Name one or two in the deployment file."
            )
        if spec.state_dim not in STATES:
            raise ConfigurationError(
                f"The policy takes a state of {spec.state_dim} numbers; LIBERO gives 8 (position, rotation vector, two "
                "fingers) or 7 (position, roll, pitch, yaw, gripper)."
            )
        if spec.mode is not ControlMode.EE_DELTA or len(spec.action_names) != ACTION_WIDTH:
            raise ConfigurationError(
                f"LIBERO takes {ACTION_WIDTH} numbers, increments of the end effector and the gripper (EE_DELTA); the "
                f"policy gives {len(spec.action_names)} of {spec.mode.name}. Choose another control_mode or checkpoint."
            )
        return cls(spec.cameras, STATES[spec.state_dim], rotate)

    def observation(self, look: Look, sentence: str) -> Observation:
        """What the policy sees at a look."""
        pictures = (look.agentview, look.wrist)[: len(self.cameras)]
        turned = [rotate_180(picture) if self.rotate else picture for picture in pictures]
        return Observation(0.0, dict(zip(self.cameras, turned, strict=True)), self.state(look), sentence)
