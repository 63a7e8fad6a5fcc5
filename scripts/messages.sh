# The generated messages: built with colcon into .ros/, found by the environment's Python. Sourced by setup.sh.

INSTALL=$PWD/.ros/install/dvla_ros

build_messages() {
    local ros_prefixes=${AMENT_PREFIX_PATH:-} cmake_prefixes=${CMAKE_PREFIX_PATH:-}
    if [[ $ROS == wheels ]]; then
        ros_prefixes=$VENV cmake_prefixes=$VENV
        "$VENV_PYTHON" scripts/rewrite_cmake_paths.py "$VENV/share"
    fi
    rm -rf .ros/build .ros/install
    long colcon env PATH="$VENV/bin:$PATH" VIRTUAL_ENV="$VENV" AMENT_PREFIX_PATH="$ros_prefixes" \
        CMAKE_PREFIX_PATH="$cmake_prefixes" "$VENV_PYTHON" -m colcon --log-base .ros/log build --paths . \
        --build-base .ros/build --install-base .ros/install --symlink-install \
        --cmake-args -DBUILD_TESTING=OFF "-DPython3_EXECUTABLE=$VENV_PYTHON"
    touch .ros/COLCON_IGNORE
}

# Let .venv/bin/python find ROS 2 and the messages at every start (scripts/dvla_ros_environment.py says how).
# The source tree comes first and the generated messages join it (dvla_ros/__init__.py extends its path).
connect_environment() {
    local site_packages generated
    site_packages=$("$VENV_PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    generated=$(find "$INSTALL" -path '*/dvla_ros/msg/__init__.py' -print -quit)
    [[ -n $generated ]] || fail "colcon built no Python messages below $INSTALL; type: make clean setup"
    cp scripts/dvla_ros_environment.py "$site_packages/"
    printf '%s\n' "$PWD" "${generated%/dvla_ros/msg/__init__.py}" \
        "import dvla_ros_environment; dvla_ros_environment.enter('$INSTALL')" >"$site_packages/dvla_ros_environment.pth"
    long check "$VENV_PYTHON" -c 'import cv_bridge, rclpy; from dvla_ros.msg import ActionChunk; ActionChunk()'
}
