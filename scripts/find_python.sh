# Which Python the environment is made of. Sourced by setup.sh.

# python_version PYTHON: print "3.11", or nothing when it does not run.
python_version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

# is_supported VERSION: the wheels of ROS 2 Jazzy exist for these; a distribution brings the one it was built for.
is_supported() {
    case $1 in
        3.10 | 3.11 | 3.12) true ;;
        3.13 | 3.14) [[ $ROS != wheels ]] ;;
        *) false ;;
    esac
}

# find_python: print the Python to use. python3 comes first: it is the one whose headers and venv module apt provides.
find_python() {
    local candidate
    if [[ -n ${PYTHON:-} ]]; then
        is_supported "$(python_version "$PYTHON")" ||
            fail "PYTHON=$PYTHON is not a Python 3.10, 3.11 or 3.12 (it says: $("$PYTHON" --version 2>&1 || true))"
        printf '%s\n' "$PYTHON"
        return
    fi
    for candidate in $(python_candidates); do
        if is_supported "$(python_version "$candidate")"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "no Python 3.10, 3.11 or 3.12 found; install one (apt-get install python3) or name it: make setup PYTHON=/path/to/python"
}

python_candidates() {
    if [[ $ROS == wheels ]]; then
        printf '%s\n' python3 python3.12 python3.11 python3.10
    else
        printf '%s\n' /usr/bin/python3
    fi
}
