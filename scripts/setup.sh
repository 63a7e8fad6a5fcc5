#!/usr/bin/env bash
# Prepares everything that `make demo`, `make test` and `make lint` need: system packages, .venv with the Python
# packages, ROS 2 and the generated messages; with the word `browser`, the browser that one test drives, too. Steps whose
# inputs have not changed are skipped. Only .venv, .ros and (through apt) system packages are written; the system's
# Python is left alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

STEPS=4
ROS=${ROS_DISTRO:-wheels}
for part in progress find_python system_packages python_packages messages; do
    # shellcheck source=/dev/null
    source "scripts/$part.sh"
done

case $ROS in
    wheels | humble | jazzy | kilted | lyrical) ;;
    *) fail "ROS_DISTRO=$ROS is not supported (humble, jazzy, kilted, lyrical); without it ROS 2 comes as Python wheels: env -u ROS_DISTRO make setup" ;;
esac

mkdir -p .ros
exec 9>.ros/setup.lock
flock --nonblock 9 || { say "another set-up of this folder is running; waiting for it" && flock 9; }

python=$(find_python)
mapfile -t missing < <(missing_system_packages "$python")
if ((${#missing[@]})); then
    step "system packages: installing ${missing[*]}"
    install_system_packages "${missing[@]}"
else
    step "system packages: all there"
fi
[[ ${1:-} != tests ]] || install_browser

make_environment "$python"
step "Python environment: .venv, Python $(python_version "$VENV_PYTHON"), ROS 2 $([[ $ROS == wheels ]] && echo 'Jazzy from wheels' || echo "$ROS")"

packages=$(digest "$PWD $ROS ${VIEW:-yes} $(python_version "$VENV_PYTHON")" constraints.txt pyproject.toml setup.py scripts/python_packages.sh)
if is_done "$STAMPS/packages" "$packages"; then
    step "Python packages: up to date"
else
    step "Python packages: installing (about 0.7 GB to download on a fresh machine)"
    install_python_packages
    mark_done "$STAMPS/packages" "$packages"
fi
[[ ${1:-} != tests ]] || install_torchao

messages=$(digest "$PWD $ROS $(python_version "$VENV_PYTHON")" constraints.txt CMakeLists.txt package.xml cmake/* msg/* srv/* action/* \
    scripts/{dvla_ros_environment,rewrite_cmake_paths}.py scripts/messages.sh)
if is_done .ros/messages.stamp "$messages"; then
    step "messages: up to date"
else
    step "messages: building with colcon (half a minute)"
    build_messages
    connect_environment
    mark_done .ros/messages.stamp "$messages"
fi
say "set-up done in $SECONDS s"
