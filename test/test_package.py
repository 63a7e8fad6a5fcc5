"""The package's metadata agree with each other and with the code, and imports point down only (DESIGN §2)."""

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest
from catkin_pkg.package import Package, parse_package

import dvla_ros

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "dvla_ros"

# A folder may import folders of its own rank or below. cli.py stands above all, errors.py below all.
RANK = {
    "cli": 6,
    "benchmark_command": 6,
    "benchmark_libero_command": 6,
    "benchmark_sim_command": 6,
    "checkpoint_commands": 6,
    "nodes": 5,
    "dataset_commands": 6,
    "evaluate_command": 6,
    "training_command": 6,
    "view_command": 6,
    "evaluation": 4,
    "policies": 4,
    "simulation": 4,
    "training": 4,
    "datasets": 4,
    "view": 4,
    "recordings": 3,
    "engine": 3,
    "models": 2,
    "actions": 1,
    "preprocessing": 1,
    "weights": 1,
    "control": 1,
    "denoising": 1,
    "errors": 0,
    "provenance": 0,
    "share": 0,
}
GENERATED = {"action", "msg", "srv"}
ROS_FOLDERS = {"nodes", "cli"}

# Import name -> rosdep key, where they differ.
ROSDEP_KEY = {
    "PIL": "python3-pil",
    "jinja2": "python3-jinja2",
    "matplotlib": "python3-matplotlib",
    "cv2": "python3-opencv",
    "mujoco": "python3-mujoco-pip",
    "numpy": "python3-numpy",
    "rich": "python3-rich",
    "scipy": "python3-scipy",
    "torch": "python3-torch",
    "transformers": "python3-transformers-pip",
    "yaml": "python3-yaml",
}
# Import name -> pip name, of what has no rosdep key; make setup installs these.
WITHOUT_ROSDEP_KEY = {
    "accelerate": "accelerate",
    "diffusers": "diffusers",
    "imageio_ffmpeg": "imageio-ffmpeg",
    "lz4": "lz4",
    "mcap": "mcap",
    "mink": "mink",
    "peft": "peft",
    "pyarrow": "pyarrow",
    "rerun": "rerun-sdk",
    "rosbags": "rosbags",
    "ruckig": "ruckig",
    "safetensors": "safetensors",
    "starlette": "starlette",
    "tensorboard": "tensorboard",
    "tiktoken": "tiktoken",
    "tokenizers": "tokenizers",
    "tyro": "tyro",
    "uvicorn": "uvicorn",
    "zstandard": "zstandard",
}
# Interbotix' own installer brings one, for a real arm; make libero another, in an environment of its own; one is an
# extra. Imported where they are used.
OPTIONAL = {"interbotix_xs_msgs", "libero", "torchao"}


@pytest.fixture(scope="module")
def package() -> Package:
    return parse_package(str(ROOT / "package.xml"))


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


@functools.cache
def imports(path: Path) -> set[str]:
    """All absolute module names that a file imports, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names.update({node.module} | {f"{node.module}.{alias.name}" for alias in node.names})
    return names


def folder(path: Path) -> str:
    """First part of a module's name below dvla_ros: its folder, or the name of a top-level module."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_folders(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(path) if name.startswith("dvla_ros.")} & (RANK.keys() | GENERATED)


def third_party_imports() -> set[str]:
    files = [*modules(), *(ROOT / "launch").glob("*.py")]
    names = {name.split(".")[0] for path in files for name in imports(path) | late_imports(path)}
    return names - set(sys.stdlib_module_names) - {"dvla_ros"}


def late_imports(path: Path) -> set[str]:
    """Module names that a file imports by `importlib`, up to where they are no longer constant."""
    return set(re.findall(r'import_module\(f?"([\w.]+)', path.read_text(encoding="utf-8")))


def test_package_xml_names_a_complete_package(package: Package) -> None:
    assert package.name == "dvla_ros"
    assert package.package_format == 3
    assert package.licenses == ["Apache-2.0"]
    assert package.get_build_type() == "ament_cmake"
    assert [group.name for group in package.member_of_groups] == ["rosidl_interface_packages"]
    assert all(re.fullmatch(r"[^@]+@[^@]+\.[a-z]{2,}", maintainer.email) for maintainer in package.maintainers)


def test_versions_agree(package: Package) -> None:
    assert package.version == dvla_ros.__version__


def test_every_imported_package_is_declared_in_package_xml(package: Package) -> None:
    declared = {dependency.name for dependency in package.exec_depends}
    needed = {ROSDEP_KEY.get(name, name) for name in third_party_imports() - WITHOUT_ROSDEP_KEY.keys() - OPTIONAL}
    assert needed - declared == set()


def test_every_package_without_rosdep_key_is_named_in_pyproject() -> None:
    named = {
        re.match(r'    "([\w-]+)', line).group(1)
        for line in (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
        if re.match(r'    "[\w-]+(\[|[<>=;]|"|,)', line)
    }
    assert {WITHOUT_ROSDEP_KEY[name] for name in third_party_imports() & WITHOUT_ROSDEP_KEY.keys()} <= named


def test_every_message_package_that_the_interfaces_use_is_a_cmake_dependency() -> None:
    cmake = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    interfaces = [path for kind in ("msg", "srv", "action") for path in (ROOT / kind).iterdir()]
    used = {name for path in interfaces for name in re.findall(r"^(\w+)/\w+", path.read_text(encoding="utf-8"), re.M)}
    assert used
    assert {name for name in used if f"find_package({name} REQUIRED)" not in cmake} == set()


def test_every_folder_has_a_rank() -> None:
    assert {folder(path) for path in modules()} - {"__init__"} <= RANK.keys()


@pytest.mark.parametrize("name", sorted(RANK))
def test_imports_point_down_only(name: str) -> None:
    upward = {
        f"{path.relative_to(ROOT)} imports dvla_ros.{imported}"
        for path in modules()
        if folder(path) == name
        for imported in imported_folders(path) - GENERATED
        if RANK[imported] > RANK[name]
    }
    assert upward == set()


def test_only_nodes_know_ros() -> None:
    ros = {"rclpy", "launch", "launch_ros", "cv_bridge", "sensor_msgs", "std_msgs"}
    knowing = {
        str(path.relative_to(ROOT))
        for path in modules()
        if folder(path) not in ROS_FOLDERS
        and ({name.split(".")[0] for name in imports(path)} & ros or imported_folders(path) & GENERATED)
    }
    assert knowing == set()


def test_the_denoising_engine_knows_no_model() -> None:
    reached = {imported for path in (SOURCE / "denoising").glob("*.py") for imported in imported_folders(path)}
    assert reached <= {"denoising", "errors"}


def test_control_runs_without_torch_and_rclpy() -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (SOURCE / "control").rglob("*.py")
        if path.name != "__init__.py"
    ]
    program = (
        f"import importlib, sys; [importlib.import_module(name) for name in {names!r}]; "
        "print(sorted({'torch', 'rclpy', 'transformers'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"
