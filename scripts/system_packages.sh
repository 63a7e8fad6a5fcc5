# System packages through apt: what is missing, and how it gets installed. Sourced by setup.sh.

# missing_system_packages PYTHON: print the apt packages that are needed and not there.
missing_system_packages() {
    local python=$1 version package
    version=$(python_version "$python")
    command -v g++ >/dev/null || printf '%s\n' g++
    command -v cmake >/dev/null || printf '%s\n' cmake
    "$python" -c 'import ensurepip, venv' 2>/dev/null || printf '%s\n' "python$version-venv"
    "$python" -c 'import os, sysconfig; open(os.path.join(sysconfig.get_path("include"), "Python.h"))' 2>/dev/null ||
        printf '%s\n' "python$version-dev"
    for package in libegl1 libgl1-mesa-dri; do # off-screen rendering of the simulated cameras
        is_installed "$package" || printf '%s\n' "$package"
    done
    [[ $ROS == wheels ]] || missing_ros_packages
}

# missing_browser: print the apt package of a browser without a screen, which only the test of the operator page needs.
# Ubuntu has one as a snap only, which does not run in containers: there the test is skipped, and says so.
missing_browser() {
    local program
    for program in chromium-headless-shell chromium google-chrome; do
        command -v "$program" >/dev/null && return
    done
    if is_debian; then printf '%s\n' chromium-headless-shell; fi
}

# install_browser: where there is none. Without one a test is left out; the set-up goes on.
install_browser() {
    local browser
    browser=$(missing_browser)
    [[ -n $browser ]] && may_install || return 0
    say "      and $browser, for the test of the operator page"
    (install_system_packages "$browser") || say "      $browser could not be installed; the test of the operator page is left out"
}

is_debian() { [[ -r /etc/os-release ]] && (. /etc/os-release && [[ $ID == debian ]]); }

# The parts of a ROS 2 distribution that its smallest variant (ros-base) may lack.
missing_ros_packages() {
    local package
    for package in python3-colcon-common-extensions "ros-$ROS-cv-bridge" "ros-$ROS-launch-ros" "ros-$ROS-rclpy" \
        "ros-$ROS-rosidl-default-generators" "ros-$ROS-sensor-msgs" "ros-$ROS-trajectory-msgs" "ros-$ROS-xacro"; do
        is_installed "$package" || printf '%s\n' "$package"
    done
}

is_installed() {
    command -v dpkg-query >/dev/null || return 0 # not Debian's family: the steps that need it say what they lack
    [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null) == ii* ]]
}

# install_system_packages PACKAGE...: through apt as root or with a sudo that does not ask; else say what to type.
install_system_packages() {
    local as_root=(env DEBIAN_FRONTEND=noninteractive apt-get -qq)
    is_root || as_root=(sudo -n "${as_root[@]}")
    may_install ||
        fail "these system packages are missing and cannot be installed from here; type: sudo apt-get update && sudo apt-get install $*"
    long apt-update "${as_root[@]}" update
    long apt-install "${as_root[@]}" install --yes --no-install-recommends "$@"
}

is_root() { ((EUID == 0)); }
may_install() { command -v apt-get >/dev/null && { is_root || sudo -n true 2>/dev/null; }; }
