# Sourced by run_all.sh: one study at a time in a folder, and all of its processes end together.

hold_folder() {  # also instead of Snakemake's own lock, which outlives a kill
    (: >>.run_all.lock) 2>/dev/null || fail "$PWD cannot be written to (by $(id -un)): results and data have no place"
    exec 9>>.run_all.lock
    try_lock 9 || fail "another ./run_all.sh is at work in this folder: $(holder)"
    echo "$$ $$" >.run_all.lock
}

holder() {
    local script group
    read -r script group <.run_all.lock || true
    if kill -0 "$script" 2>/dev/null; then
        echo "process $script; wait for it, or end it: kill $script"
    else
        echo "its process $script was killed and what it started goes on; end that: kill -TERM -- -$group"
    fi
}

run_together() {  # COMMAND...: whichever of its processes is killed, or if this script is told to end, none is left
    local status=0
    group=
    trap 'end_all INT; fail "interrupted: nothing runs any more; the same command goes on where this one was"' INT TERM HUP
    set -m  # a process group of its own
    "$@" </dev/null &
    group=$!
    set +m
    echo "$$ $group" >.run_all.lock
    wait "$group" || status=$?
    trap - INT TERM HUP
    end_all TERM
    return "$status"
}

end_all() {  # SIGNAL for the command; what it started gets TERM, and whatever is left after 20 seconds KILL
    local second
    trap '' INT TERM HUP
    group=${group:-${!:-}}  # told to end just after the command was started
    kill -s "$1" "$group" 2>/dev/null || true
    for second in {1..20}; do
        kill -TERM -- "-$group" 2>/dev/null || return 0
        sleep 1
    done
    kill -KILL -- "-$group" 2>/dev/null || true
}
