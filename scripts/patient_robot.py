"""A simulated robot on a machine that does much else: pictures may be late, and nothing is held for it."""

from pathlib import Path

import yaml

from dvla_ros.nodes.node_table import SHIPPED_PARAMETERS
from dvla_ros.share import share_path

_PATIENT: dict[str, dict[str, object]] = {
    "policy_node": {"max_image_age_s": 5.0, "max_skew_s": 2.0, "warm_up_s": 60.0},
    "chunker_node": {"joint_state_timeout_s": 2.0, "max_tick_gap_s": 2.0, "lock_memory": False},
}


def patient_arguments(
    folder: Path, width: int, height: int, camera_hz: float, **more: dict[str, object]
) -> dict[str, str]:
    """Launch arguments; the file that they name is written into a folder.

    Args:
        folder: For the file with the parameters.
        width: Of the simulated pictures, in pixels.
        height: The same.
        camera_hz: Pictures per second and camera.
        more: Further parameters, by node.
    """
    shipped = yaml.safe_load(share_path(SHIPPED_PARAMETERS).read_text())
    cameras = {"image_width": width, "image_height": height, "camera_hz": camera_hz}
    changes = {**_PATIENT, "sim_node": cameras, "policy_node": {**_PATIENT["policy_node"], "camera_hz": camera_hz}}
    for node, values in (*changes.items(), *more.items()):
        shipped[node]["ros__parameters"].update(values)
    file = folder / "patient.yaml"
    file.write_text(yaml.safe_dump(shipped))
    # The arm rests while the policy thinks: how long that takes is no matter.
    return {"params_file": str(file), "replanning": "sync"}
