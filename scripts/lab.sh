#!/usr/bin/env bash
# JupyterLab on copies of the notebooks in play/, which git ignores: what is run and changed there never reaches a commit.
#
#   scripts/lab.sh [options for jupyter lab]
#
# A copy that nobody has changed follows its notebook.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
source scripts/environment.sh
set_up_environment

mkdir -p play/.copied
for notebook in notebooks/*.ipynb; do
    name=${notebook##*/}
    copy=play/$name copied=play/.copied/$name
    if [ ! -f "$copy" ] || cmp -s "$copy" "$copied"; then
        cp "$notebook" "$copied"
        cp "$notebook" "$copy"
    elif ! cmp -s "$notebook" "$copied"; then
        echo "$copy is yours by now, and $notebook has changed since: delete the copy to get the new one"
    fi
done
exec jupyter lab --LabApp.default_url=/lab/tree/play/explore.ipynb "$@"
