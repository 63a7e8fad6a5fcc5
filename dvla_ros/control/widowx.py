"""The numbers of the Interbotix WidowX 250s (6 DoF); radians, metres, seconds."""

import numpy as np

ARM_JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
FINGER_JOINTS = ("left_finger", "right_finger")
JOINT_STATE_ORDER = (*ARM_JOINTS, "gripper", *FINGER_JOINTS)
"""Order of the names in the driver's `joint_states`; `gripper` is the motor angle, the fingers are in metres."""

LOWER = np.array([-3.14158, -1.88496, -2.14675, -3.14158, -1.74533, -3.14158])
UPPER = np.array([3.14158, 1.98968, 1.60570, 3.14158, 2.14675, 3.14158])
VELOCITY_LIMIT = np.full(6, np.pi)
"""Dynamixel velocity register 131 of the driver's configuration, about pi rad/s for every arm joint."""

SLEEP = np.array([0.0, -1.80, 1.55, 0.0, 0.8, 0.0])
NEUTRAL = np.array([-0.132, -0.762, 0.445, -0.020, 1.756, -0.160])
"""The pose in which Bridge episodes start, gripper pointing down."""

FINGER_CLOSED = 0.015
FINGER_OPEN = 0.037
"""Range of `left_finger` in metres from the finger's zero; `right_finger` mirrors it."""

FINGER_VELOCITY_LIMIT = 0.1
"""Metres per second of one finger: the gripper opens or closes fully in about a quarter of a second."""


def finger_from_gripper(gripper: float) -> float:
    """Finger position in metres for a gripper opening of 0 (closed) to 1 (open); clipped to that range."""
    return FINGER_CLOSED + (FINGER_OPEN - FINGER_CLOSED) * float(np.clip(gripper, 0.0, 1.0))


def gripper_from_finger(finger: float) -> float:
    """Gripper opening, 0 (closed) to 1 (open), for a `left_finger` position in metres; clipped to that range."""
    return float(np.clip((finger - FINGER_CLOSED) / (FINGER_OPEN - FINGER_CLOSED), 0.0, 1.0))
