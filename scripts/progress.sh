# Progress lines, long commands with a log, and stamps. Sourced by setup.sh.

LOGS=.ros/log/setup

say() { printf '%s\n' "$*"; }
fail() {
    printf 'set-up stopped: %s\n' "$*" >&2
    exit 1
}

# step TEXT: announce the next step.
step_number=0
step() {
    step_number=$((step_number + 1))
    say "[$step_number/$STEPS] $*"
}

# long NAME COMMAND...: run a command with its output in a log, and show that it is alive.
long() {
    local name=$1 log="$LOGS/$1.log" started=$SECONDS next_line=15 pid status=0
    shift
    mkdir -p "$LOGS"
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
        if ((SECONDS - started >= next_line)); then
            say "      … $((SECONDS - started)) s  $(newest_line "$log")"
            next_line=$((next_line + 15))
        fi
    done
    wait "$pid" || status=$?
    if ((status)); then
        tail -n 25 "$log" >&2
        fail "$name failed (exit code $status); everything it said is in $log"
    fi
}

# newest_line LOG: what the command is at, without warnings and details.
newest_line() { grep -E '^[A-Z]' "$1" | grep -v '^WARNING' | tail -n 1 | cut -c 1-90 || true; }

# digest TEXT FILE...: one hash over a text and the files' names and contents.
digest() {
    local text=$1
    shift
    { printf '%s\n' "$text" && sha256sum -- "$@"; } | sha256sum | cut -c 1-64
}

# is_done STAMP DIGEST: true when the stamp says that this very work was done.
is_done() { [[ -f $1 && $(<"$1") == "$2" ]]; }
mark_done() {
    mkdir -p "$(dirname "$1")"
    printf '%s\n' "$2" >"$1"
}
