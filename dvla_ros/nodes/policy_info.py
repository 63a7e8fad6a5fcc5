"""What answers, and how it is run, as a message that every recording holds."""

import dataclasses
import json
from pathlib import Path

from std_msgs.msg import Header

import dvla_ros
from dvla_ros.msg import PolicyInfo
from dvla_ros.nodes.conversions import to_duration, to_time
from dvla_ros.nodes.launch_arguments import EXPERT
from dvla_ros.nodes.policy_parameters import PolicyParameters
from dvla_ros.policies.base import PolicySpec
from dvla_ros.policies.fingerprint import fingerprint
from dvla_ros.provenance import git_revision, machine_name


def policy_info(parameters: PolicyParameters, spec: PolicySpec, frame_id: str, now: float) -> PolicyInfo:
    """The message about a policy that became ready at `now` seconds.

    Args:
        parameters: Of the node.
        spec: Of the policy.
        frame_id: Base frame of the arm.
        now: On the ROS clock.
    """
    values = {field.name: getattr(parameters, field.name) for field in dataclasses.fields(parameters)}
    scripted = parameters.checkpoint == EXPERT
    checkpoint = Path(parameters.checkpoint).expanduser().resolve()
    deployment = Path(parameters.deployment).expanduser().read_text() if parameters.deployment else ""
    return PolicyInfo(
        header=Header(stamp=to_time(now), frame_id=frame_id),
        robot_name=parameters.robot_name,
        system=spec.system,
        checkpoint=EXPERT if scripted else str(checkpoint),
        fingerprint="" if scripted else fingerprint(checkpoint),
        deployment=deployment,
        cameras=list(spec.cameras),
        action_names=list(spec.action_names),
        control_mode=int(spec.mode),
        horizon=spec.horizon,
        execute_steps=spec.execute_steps,
        dt=to_duration(spec.dt),
        parameter_names=list(values),
        parameter_values=[json.dumps(value) for value in values.values()],
        version=dvla_ros.__version__,
        git=git_revision(),
        machine=machine_name(),
    )
