"""The table scene as a MuJoCo model: WidowX 250s, three cubes, a plate, a fixed and a wrist camera."""

from collections.abc import Sequence

import mujoco
import numpy as np

from dvla_ros.control.description import widowx_spec
from dvla_ros.control.widowx import ARM_JOINTS

COLOURS = ("red", "green", "blue")
CUBE_HALF = 0.02
PLATE_RADIUS = 0.07
PLATE_HEIGHT = 0.01
POST_RADIUS, POST_HEIGHT = 0.015, 0.20
CAMERAS = ("front", "wrist")
TIMESTEP = 0.004

_RGBA = {"red": (0.85, 0.10, 0.08, 1), "green": (0.10, 0.60, 0.15, 1), "blue": (0.10, 0.22, 0.80, 1)}
_KP = {"waist": 300, "shoulder": 500, "elbow": 300, "forearm_roll": 80, "wrist_angle": 80, "wrist_rotate": 40}
_ARMATURE = {
    "waist": 0.05,
    "shoulder": 0.08,
    "elbow": 0.05,
    "forearm_roll": 0.01,
    "wrist_angle": 0.01,
    "wrist_rotate": 0.006,
}
# N m s/rad; the last joint's motor gives 1 N m, which must suffice for pi rad/s.
_DAMPING = {**dict.fromkeys(ARM_JOINTS, 0.5), "wrist_rotate": 0.1}
_DAMPING_RATIO = 1.0
_FINGER_KP = 600.0
_FINGER_FORCE = 15.0
# The pads are stiffer and grippier than the cubes' faces are to the table, as rubber tape on the real fingers.
_PAD_FRICTION = (1.5, 0.02, 0.0005)
_CUBE_FRICTION = (0.9, 0.01, 0.0002)


def build_model(table_patterns: Sequence[np.ndarray] = ()) -> mujoco.MjModel:
    """Compile the scene. Base frame = world frame: origin at the arm's base on the table top, x forward, z up.

    Args:
        table_patterns: Other looks of the table, uint8 `[n, n, 3]` RGB; material `pattern_i` shows the i-th.
    """
    spec = widowx_spec()
    _set_options(spec)
    _dress_arm(spec)
    _add_actuators(spec)
    _add_table(spec)
    for colour in COLOURS:
        _add_cube(spec, colour)
    _add_plate(spec)
    _add_post(spec)
    _add_cameras(spec)
    for index, pattern in enumerate(table_patterns):
        _add_pattern(spec, f"pattern_{index}", pattern)
    return spec.compile()


def _set_options(spec: mujoco.MjSpec) -> None:
    spec.option.timestep = TIMESTEP
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10.0
    # getattr: `global` is a Python keyword.
    visual = getattr(spec.visual, "global")
    visual.offwidth, visual.offheight = 1280, 960
    spec.visual.quality.shadowsize = 0
    spec.visual.headlight.ambient = [0.35, 0.35, 0.35]
    spec.visual.headlight.diffuse = [0.35, 0.35, 0.35]
    spec.visual.headlight.specular = [0.0, 0.0, 0.0]
    spec.visual.map.znear = 0.01


def _dress_arm(spec: mujoco.MjSpec) -> None:
    """Gravity compensation, joint dynamics, colours; contacts only where they matter: hand and finger pads."""
    for body in spec.bodies[1:]:
        body.gravcomp = 1.0
    for geom in spec.geoms:
        geom.rgba = [0.13, 0.13, 0.14, 1]
        if geom.group == 0:
            geom.contype, geom.conaffinity, geom.group = 0, 0, 3
    for name in ARM_JOINTS:
        joint = spec.joint(name)
        joint.armature = _ARMATURE[name]
        joint.damping[0] = _DAMPING[name]
        joint.frictionloss = 0.0
    # The motor horn carries no load; its angle is reported from the finger position.
    spec.delete(spec.joint("gripper"))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        joint = spec.joint(f"{side}_finger")
        joint.armature = 0.05
        joint.damping[0] = 5.0
        joint.frictionloss = 0.0
        _add_pad(spec.body(f"wx250s/{side}_finger_link"), side, sign)
    hand = spec.body("wx250s/gripper_bar_link")
    hand.add_geom(
        name="palm",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.03, 0.06, 0.02],
        pos=[-0.015, 0, 0],
        group=3,
        rgba=[1, 0, 0, 0.4],
    )


def _add_pad(finger: mujoco.MjsBody, side: str, sign: float) -> None:
    finger.add_geom(
        name=f"{side}_pad",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.018, 0.007, 0.010],
        pos=[0.0254, -sign * 0.002, 0.0],
        friction=_PAD_FRICTION,
        solref=[0.006, 1.0],
        condim=4,
        group=3,
        rgba=[0.2, 0.9, 0.2, 0.6],
    )


def _add_actuators(spec: mujoco.MjSpec) -> None:
    for name in ARM_JOINTS:
        kp = float(_KP[name])
        kv = 2.0 * _DAMPING_RATIO * np.sqrt(kp * _ARMATURE[name]) * 1.5
        actuator = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.set_to_position(kp=kp, kv=kv)
    for side in ("left", "right"):
        name = f"{side}_finger"
        actuator = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.set_to_position(kp=_FINGER_KP, kv=20.0)
        actuator.forcerange = [-_FINGER_FORCE, _FINGER_FORCE]
        actuator.forcelimited = True


def _add_table(spec: mujoco.MjSpec) -> None:
    spec.add_texture(
        name="wood",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        width=64,
        height=64,
        rgb1=[0.62, 0.55, 0.45],
        rgb2=[0.62, 0.55, 0.45],
        random=0.02,
        mark=mujoco.mjtMark.mjMARK_RANDOM,
        markrgb=[0.5, 0.45, 0.38],
    )
    material = spec.add_material(name="wood", texrepeat=[4, 4])
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "wood"
    spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.45, 0.45, 0.02],
        pos=[0.3, 0, -0.02],
        material="wood",
        friction=_CUBE_FRICTION,
        condim=4,
    )
    spec.worldbody.add_geom(
        name="wall",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[3, 3, 0.1],
        pos=[0, 0, -0.6],
        rgba=[0.75, 0.76, 0.78, 1],
        contype=0,
        conaffinity=0,
    )
    spec.worldbody.add_light(
        pos=[0.6, -0.4, 1.5],
        dir=[-0.25, 0.3, -1.0],
        diffuse=[0.5, 0.5, 0.5],
        castshadow=False,
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
    )


def _add_pattern(spec: mujoco.MjSpec, name: str, pattern: np.ndarray) -> None:
    texture = spec.add_texture(
        name=name,
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=pattern.shape[1],
        height=pattern.shape[0],
        nchannel=3,
    )
    texture.data = pattern.tobytes()
    material = spec.add_material(name=name, texrepeat=[1, 1])
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name


def _add_cube(spec: mujoco.MjSpec, colour: str) -> None:
    body = spec.worldbody.add_body(name=colour, pos=[0.3, 0, CUBE_HALF])
    body.add_freejoint(name=colour)
    body.add_geom(
        name=colour,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[CUBE_HALF] * 3,
        rgba=_RGBA[colour],
        mass=0.04,
        friction=_CUBE_FRICTION,
        condim=4,
        solref=[0.006, 1.0],
    )


def _add_plate(spec: mujoco.MjSpec) -> None:
    body = spec.worldbody.add_body(name="plate", pos=[0.3, 0.2, PLATE_HEIGHT / 2], mocap=True)
    body.add_geom(
        name="plate",
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[PLATE_RADIUS, PLATE_HEIGHT / 2, 0],
        rgba=[0.93, 0.93, 0.90, 1],
        friction=_CUBE_FRICTION,
        condim=4,
    )
    body.add_geom(
        name="plate_ring",
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[PLATE_RADIUS * 0.7, PLATE_HEIGHT / 2 + 0.0004, 0],
        rgba=[0.80, 0.80, 0.83, 1],
        contype=0,
        conaffinity=0,
    )


def _add_post(spec: mujoco.MjSpec) -> None:
    """Under the table, where nothing sees or touches it, until a scene is laid out that has one."""
    body = spec.worldbody.add_body(name="post", pos=[0.3, 0, -0.25], mocap=True)
    body.add_geom(
        name="post",
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[POST_RADIUS, POST_HEIGHT / 2, 0],
        rgba=[0.95, 0.75, 0.10, 1],
    )


def _add_cameras(spec: mujoco.MjSpec) -> None:
    spec.worldbody.add_camera(name="front", fovy=42.0, **_looking(from_=(0.70, 0.0, 0.47), at=(0.225, 0.0, 0.06)))
    hand = spec.body("wx250s/gripper_link")
    # Mounted above the gripper, looking along the fingers; the gripper points along the link's x axis.
    hand.add_camera(
        name="wrist", fovy=70.0, **_looking(from_=(-0.005, 0.0, 0.075), at=(0.13, 0.0, 0.0), up=(0.0, 0.0, 1.0))
    )


def _looking(
    from_: tuple[float, ...], at: tuple[float, ...], up: tuple[float, ...] = (0.0, 0.0, 1.0)
) -> dict[str, list[float]]:
    """Camera pose for MuJoCo: looks along −z, y up in the image."""
    back = np.subtract(from_, at)
    back /= np.linalg.norm(back)
    right = np.cross(up, back)
    right /= np.linalg.norm(right)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.column_stack([right, np.cross(back, right), back]).flatten())
    return {"pos": list(from_), "quat": quat.tolist()}
