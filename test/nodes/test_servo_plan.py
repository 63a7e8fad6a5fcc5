"""What `servo.launch.py` starts, without the launch system."""

import re

import pytest
import yaml

from dvla_ros.control.safety import SafetyConfig
from dvla_ros.errors import ConfigurationError, DependencyError
from dvla_ros.nodes.backends.servo_link import SERVO
from dvla_ros.nodes.backends.servo_tracking import LAG_S
from dvla_ros.nodes.launch_arguments import WIDOWX_ARGUMENTS, resolve_arguments
from dvla_ros.nodes.servo_plan import SERVO_ARGUMENTS, SERVO_BACKENDS, SHIPPED_SERVO_PARAMETERS, servo_entry
from dvla_ros.share import share_path

PACKAGES = ("moveit_servo", "moveit_kinematics", "interbotix_xsarm_descriptions", "interbotix_xsarm_moveit")


def resolved(**given):
    return resolve_arguments(given, SERVO_ARGUMENTS)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A ROS prefix in which the packages named are installed, and xacro."""
    program = tmp_path / "bin/xacro"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(program.parent))

    def install(*packages):
        index = tmp_path / "share/ament_index/resource_index/packages"
        index.mkdir(parents=True)
        for package in packages:
            (index / package).touch()
            (tmp_path / "share" / package).mkdir()
        for file in ("descriptions/urdf/wx250s.urdf.xacro", "moveit/config/srdf/wx250s.srdf.xacro"):
            path = tmp_path / f"share/interbotix_xsarm_{file}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
        return tmp_path / "share"

    return install


def shipped():
    nodes = yaml.safe_load(share_path(SHIPPED_SERVO_PARAMETERS).read_text())
    return nodes[SERVO.strip("/")]["ros__parameters"]["moveit_servo"]


def test_the_arguments_are_those_of_the_arm_and_of_servo():
    names = [argument.name for argument in SERVO_ARGUMENTS]
    assert names[: len(WIDOWX_ARGUMENTS)] == [argument.name for argument in WIDOWX_ARGUMENTS]
    assert names[len(WIDOWX_ARGUMENTS) :] == ["start_servo", "servo_params_file", "urdf", "srdf"]


def test_commands_go_to_servo_and_nowhere_else():
    assert resolved()["backend"] == "servo_pose"
    with pytest.raises(ConfigurationError, match=re.escape(f"one of {', '.join(SERVO_BACKENDS)}, got 'jtc'")):
        resolved(backend="jtc")


def test_servo_is_expected_unless_it_is_to_be_started():
    assert servo_entry(resolved()) is None


def test_servo_gets_the_robots_topics_and_its_description(installed):
    share = installed(*PACKAGES)
    entry = servo_entry(resolved(start_servo="true", robot_name="left_arm"))
    assert entry.parameters["moveit_servo.command_out_topic"] == "/left_arm/arm_controller/joint_trajectory"
    assert entry.parameters["moveit_servo.joint_topic"] == "/left_arm/joint_states"
    assert entry.urdf == share / "interbotix_xsarm_descriptions/urdf/wx250s.urdf.xacro"
    assert entry.srdf == share / "interbotix_xsarm_moveit/config/srdf/wx250s.srdf.xacro"
    assert (entry.robot_name, entry.params_file) == ("left_arm", share_path(SHIPPED_SERVO_PARAMETERS))


def test_a_description_of_ones_own_needs_no_interbotix_packages(installed, tmp_path):
    installed(*PACKAGES[:2])
    file = tmp_path / "arm.xml"
    file.touch()
    entry = servo_entry(resolved(start_servo="true", urdf=str(file), srdf=str(file)))
    assert entry.urdf == entry.srdf == file


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("moveit_servo", r"apt package ros-\$ROS_DISTRO-moveit-servo \(ROS 2 Jazzy or newer\)"),
        ("moveit_kinematics", r"apt package ros-\$ROS_DISTRO-moveit-kinematics"),
        ("interbotix_xsarm_moveit", r"interbotix_ros_manipulators in your workspace, or give srdf:=FILE"),
    ],
)
def test_a_missing_package_is_named_with_where_it_comes_from(installed, missing, words):
    installed(*(package for package in PACKAGES if package != missing))
    with pytest.raises(DependencyError, match=f"'{missing}'.*{words}"):
        servo_entry(resolved(start_servo="true"))


def test_a_missing_xacro_is_named(installed, monkeypatch):
    installed(*PACKAGES)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DependencyError, match=r"'xacro'.*apt package ros-\$ROS_DISTRO-xacro"):
        servo_entry(resolved(start_servo="true"))


@pytest.mark.parametrize("name", ["servo_params_file", "urdf", "srdf"])
def test_a_missing_file_is_named(installed, name):
    installed(*PACKAGES)
    with pytest.raises(ConfigurationError, match=f"{name} /no/such/file does not exist."):
        servo_entry(resolved(start_servo="true", **{name: "/no/such/file"}))


def test_the_shipped_parameters_fit_the_backends():
    servo = shipped()
    assert servo["command_in_type"] == "speed_units"
    assert servo["apply_twist_commands_about_ee_frame"]
    assert servo["max_expected_latency"] == LAG_S
    assert 1.0 / servo["publish_period"] == pytest.approx(float(resolved()["control_hz"]))
    assert servo["incoming_command_timeout"] >= 5 / 50.0


def test_servo_does_not_halt_at_a_joint_bound_where_the_safety_gate_lets_chunks_go():
    assert max(shipped()["joint_limit_margins"]) < SafetyConfig().joint_margin


def test_the_shipped_parameters_are_ones_that_servo_starts_with():
    servo = shipped()
    assert servo["publish_period"] <= servo["max_expected_latency"] / 3
    assert servo["lower_singularity_threshold"] < servo["hard_stop_singularity_threshold"]
    assert servo["self_collision_proximity_threshold"] <= servo["scene_collision_proximity_threshold"]
