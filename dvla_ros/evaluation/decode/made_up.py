"""An observation of nothing in particular, the same in every run; how long a chunk takes does not depend on it."""

import numpy as np

from dvla_ros.control.bridge import bridge_state
from dvla_ros.control.observation import Observation
from dvla_ros.control.widowx import FINGER_OPEN, NEUTRAL
from dvla_ros.policies.base import PolicySpec

INSTRUCTION = "pick up the red cube"
_HEIGHT, _WIDTH = 480, 640


def made_up_observation(spec: PolicySpec, seed: int = 0) -> Observation:
    """Noise for every camera, the arm at rest."""
    draw = np.random.default_rng(seed)
    images = {name: draw.integers(0, 256, (_HEIGHT, _WIDTH, 3), dtype=np.uint8) for name in spec.cameras}
    return Observation(0.0, images, bridge_state(NEUTRAL, FINGER_OPEN), INSTRUCTION)
