#!/usr/bin/env bash
# Runs a study, end to end:  ./run_all.sh [STUDY] [options for snakemake]
#
#   ./run_all.sh                 the demo study: generated images, no network data, no GPU
#   ./run_all.sh demo -n         only show the plan (recipe -n: with the authors' hours on a GPU)
#   ./run_all.sh cpu             real images, a small network (DATA_MIRROR=folder-or-URL for a mirror of the data)
#   ./run_all.sh recipe          the authors' recipe; needs a GPU
#
# Running it again does only what is missing; a run that was killed goes on after its last epoch.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"  # also where it was called by sh
set -euo pipefail
for place in DATA_DIR DATA_MIRROR; do  # a relative one is meant from where the command is given
    case "${!place:-}" in "" | /* | "~"* | *://*) ;; *) export "$place=$PWD/${!place}" ;; esac
done
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
case "$PWD" in *[{}\<\>]*) echo "error: the folder $PWD has one of { } < > in its name: rename it" >&2; exit 1 ;; esac
source scripts/environment.sh
source scripts/together.sh

case "${1:-}" in
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' run_all.sh; exit ;;
    "" | -*) study=demo ;;
    *) study=${1#params/}; study=${study%.yaml}; shift ;;
esac

hold_folder
set_up_environment

# As many runs side by side as there are cores and memory for; where there is too little for one, one at a time.
memory=$(awk '/MemAvailable/ { print int($2 / 1024) }' /proc/meminfo 2>/dev/null || echo $(($(sysctl -n hw.memsize) / 1048576)))
gpus=$(nvidia-smi -L 2>/dev/null | grep -c GPU || true)
limits=(--cores all --resources mem_mib="$memory")
[ "$gpus" -eq 0 ] || limits+=(gpu=1)  # runs take turns on a GPU
case " $* " in *" --profile"[=\ ]* | *" --executor"[=\ ]* | *" -e "*) limits=() ;; esac  # a cluster has limits of its own

export FAILURES="$PWD/.snakemake/failures"  # why each stage failed that did, for the end
mkdir -p .snakemake
: >"$FAILURES"
status=0
run_together snakemake "${limits[@]}" --config study="params/$study.yaml" --quiet host rules reason \
    --keep-going --rerun-incomplete --rerun-triggers mtime --nolock --scheduler greedy "$@" || status=$?
if [ "$status" -eq 2 ]; then
    exit 1  # what is wrong with the study file or the options has been said
elif [ "$status" -ne 0 ] && [ -s "$FAILURES" ]; then
    fail "part of the study '$study' failed:"$'\n'"$(awk '!told[$0]++' "$FAILURES")"
elif [ "$status" -ne 0 ]; then
    fail "part of the study '$study' failed: the messages above say what"
fi

case " $* " in *" -n "* | *" --dry-run "* | *" --dryrun "*) python -m soft_attention.study.stages plan "$study"; exit ;; esac
report="results/$study/report.html"
[ ! -f "$report" ] || echo "report: $PWD/$report"
