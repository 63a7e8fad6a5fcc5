"""What a policy sees of a simulated scene before anything has moved."""

from dataclasses import replace

from dvla_ros.control.observation import Observation
from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.expert_frames import ExpertFrames
from dvla_ros.policies.base import PolicySpec


def observation_of_scene(spec: PolicySpec, task: str, seed: int, instruction: str) -> Observation:
    """The first observation of a scene, with the cameras that a policy needs.

    Raises:
        ConfigurationError: The simulation has not got one of them.
    """
    frame = next(ExpertFrames().episode(task, seed, frames=1, spacing=1, horizon=1))
    images = frame.observation.images
    if missing := [camera for camera in spec.cameras if camera not in images]:
        raise ConfigurationError(
            f"The simulation has the cameras {', '.join(images)}; the policy needs {', '.join(missing)}. Name the "
            "cameras in the deployment file as they are called on the robot."
        )
    return replace(frame.observation, images={c: images[c] for c in spec.cameras}, instruction=instruction)
