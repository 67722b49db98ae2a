# Sourced by run_all.sh and run_tests.sh: puts a Python with the locked packages first on PATH.
#
#   DEVICE=cpu|gpu   which build of TensorFlow; without it gpu where nvidia-smi finds a card, else cpu
#
# An active conda environment made from environment.yml is used as it is. Otherwise the packages go to .venv/.

fail() { echo "error: $*" >&2; exit 1; }

# macOS has no flock: there nothing is locked.
take_lock() { ! command -v flock >/dev/null || flock "$@"; }

try_lock() {  # FD: false if another holds it
    local status=0
    command -v flock >/dev/null || return 0
    timeout 60 flock --nonblock "$1" || status=$?
    [ "$status" -ne 124 ] || fail "the file system of $PWD does not answer whether a file is locked: is its lock service away?"
    return "$status"
}

find_python() {
    local candidate
    for candidate in python3.12 python3.13 python3.11 python3 python; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python 3.11, 3.12 or 3.13 with the venv module was found on PATH: install one"
}

has_this_study() {  # PYTHON: not that of another checkout, from which .venv/ was copied or which conda has installed
    "$1" -c 'import os, sys; from soft_attention import paths; sys.exit(not os.path.samefile(paths.ROOT, "."))' 2>/dev/null
}

# A photo of a phone, as one message, is larger than the 10 MB that Jupyter's server takes: explore.ipynb wants more.
let_photos_through() {  # PREFIX of an environment; settings that are there already stay
    local settings="$1/etc/jupyter/jupyter_server_config.json"
    [ ! -e "$settings" ] || return 0
    mkdir -p "${settings%/*}"
    echo '{"ServerApp": {"tornado_settings": {"websocket_max_message_size": 1000000000}}}' >"$settings"
}

set_up_environment() {
    unset PYTHONPATH PYTHONHOME  # packages of others would stand before those of the lock
    export PYTHONNOUSERSITE=1 PYTHONUTF8=1
    [ "$(locale charmap 2>/dev/null)" = UTF-8 ] || export LC_ALL=C.UTF-8  # Python reads .pth files in it
    if [ -n "${CONDA_PREFIX:-}" ] && python -c 'import tensorflow, snakemake, papermill' 2>/dev/null; then
        has_this_study python || python -m pip install --quiet --no-deps --no-build-isolation -e .
        let_photos_through "$CONDA_PREFIX" 2>/dev/null || true  # another person's environment may be closed to us
    else
        if [ -z "${DEVICE:-}" ]; then
            if nvidia-smi -L 2>/dev/null | grep -q GPU; then DEVICE=gpu; else DEVICE=cpu; fi
        fi
        local lock="requirements-$DEVICE.lock"
        [ -f "$lock" ] || fail "DEVICE must be cpu or gpu, not '$DEVICE'"
        exec 7>.venv.lock 8>.set_up.lock
        take_lock 8  # two first calls at once: one waits
        if ! cmp -s "$lock" .venv/installed.lock || ! has_this_study .venv/bin/python; then
            try_lock 7 || fail "$lock asks for other packages than those in .venv/, or these belong to another" \
                "checkout; but a study or tests at work here use those in .venv/: wait until they have ended"
            local python; python=$(find_python) || exit 1
            echo "setting up .venv with the packages of $lock (once, two to five minutes) ..."
            rm -rf .venv
            "$python" -m venv .venv
            .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
            .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
            cp "$lock" .venv/installed.lock
        fi
        let_photos_through .venv
        take_lock --shared 7  # until this script has ended
        exec 8>&-
        export PATH="$PWD/.venv/bin:$PATH"
    fi
    export TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-3}" TF_ENABLE_ONEDNN_OPTS="${TF_ENABLE_ONEDNN_OPTS:-1}"
}
