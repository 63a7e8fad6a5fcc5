"""Loads the policy that the parameters name, makes sure that it fits the robot, and warms it up."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dvla_ros.control.bridge import bridge_state
from dvla_ros.control.observation import Observation
from dvla_ros.control.widowx import FINGER_OPEN, NEUTRAL
from dvla_ros.errors import CheckpointError
from dvla_ros.nodes.policy_parameters import PolicyParameters
from dvla_ros.policies.base import Policy

WARM_UP_INSTRUCTION = "stay where you are"
WARM_UP_INFERENCES = 3
ACTION_WIDTH = STATE_WIDTH = 7


def load_fitting_policy(parameters: PolicyParameters) -> Policy:
    """Load the checkpoint and make sure that it fits the robot and the cameras.

    Raises:
        CheckpointError: The checkpoint is missing or made for another robot or other cameras.
        ConfigurationError: The device does not exist, or the deployment, the cache or the weights do not fit.
        DependencyError: The weights need a package that is not installed.
    """
    path = Path(parameters.checkpoint).expanduser()
    if not parameters.checkpoint or not path.exists():
        raise CheckpointError(
            f"The checkpoint '{parameters.checkpoint}' does not exist. Set the parameter checkpoint to a folder that "
            "'dvla train' or the training code of a published system wrote."
        )
    # PyTorch takes seconds to import: wrong parameters and Ctrl-C need not wait for it.
    from dvla_ros.policies.load import load_policy
    from dvla_ros.policies.published.deployment import Deployment

    deployment = Deployment.load(Path(parameters.deployment).expanduser()) if parameters.deployment else None
    policy = load_policy(
        path,
        parameters.device,
        deployment=deployment,
        cache=parameters.cache,
        weights=parameters.weights,
        graphs=None if parameters.graphs else False,
    )
    spec = policy.spec
    if len(spec.action_names) != ACTION_WIDTH or spec.state_dim != STATE_WIDTH:
        raise CheckpointError(
            f"The checkpoint {path} is for {len(spec.action_names)} action dimensions and {spec.state_dim} state "
            f"dimensions; a WidowX needs {ACTION_WIDTH} and {STATE_WIDTH} (x y z roll pitch yaw gripper). "
            "Choose another checkpoint."
        )
    missing = [camera for camera in spec.cameras if camera not in parameters.cameras]
    if missing:
        raise CheckpointError(
            f"The checkpoint {path} needs camera '{missing[0]}', configured are {', '.join(parameters.cameras)}. "
            f"Set cameras:={','.join(spec.cameras)}, or choose another checkpoint."
        )
    return policy


def scripted_expert(scene: Callable[[], tuple[str, int]]) -> Policy:
    """The scripted expert in the place of a policy.

    Args:
        scene: Task name and seed of the simulated scene.
    """
    # Physics and PyTorch take seconds to import.
    from dvla_ros.training.demonstrator import Demonstrator

    return Demonstrator(scene)


def warm_up(policy: Policy) -> tuple[float, float]:
    """Infer a few times on a blank observation, so that the first real one is not slow.

    Returns:
        Seconds that all took, and that the last one took.
    """
    images = {camera: np.zeros((480, 640, 3), np.uint8) for camera in policy.spec.cameras}
    state = bridge_state(NEUTRAL, FINGER_OPEN)
    began = time.monotonic()
    for seed in range(WARM_UP_INFERENCES):
        last = time.monotonic()
        policy.predict(Observation(0.0, images, state, WARM_UP_INSTRUCTION), seed=seed)
    policy.reset()
    return time.monotonic() - began, time.monotonic() - last
