#!/usr/bin/env bash
# A study through profiles/slurm on a Slurm of its own: controller and node on loopback, nothing else is touched.
# One training is cancelled and must be made again. Needs root on Debian; the smoke study takes a few minutes.
#
#   tests/cluster/run.sh [STUDY]      prints the jobs, and "ok" at the end
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
source scripts/environment.sh
study=${1:-smoke}

command -v slurmctld munged >/dev/null || { apt-get update -qq && apt-get install -y -qq slurm-wlm munge; }
set_up_environment
python -c 'import snakemake_executor_plugin_slurm' 2>/dev/null ||
    python -m pip install --quiet "$(sed -n 's/^slurm = \["\(.*\)"\]/\1/p' pyproject.toml)"

own=$(mktemp -d)
stop() {  # by their pid files
    local name pid
    for name in slurmd slurmctld munged; do
        pid=$(cat "$own/$name.pid" 2>/dev/null) && kill "$pid" && while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
    done
    rm -rf "$own"
}
trap 'stop || true' EXIT

head -c 128 /dev/urandom >"$own/munge.key"
chmod 600 "$own/munge.key"
mkdir "$own/state" "$own/spool"
export SLURM_CONF="$own/slurm.conf"
cat >"$SLURM_CONF" <<CONF
ClusterName=loopback
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$own/munge.socket
StateSaveLocation=$own/state
SlurmdSpoolDir=$own/spool
SlurmctldPidFile=$own/slurmctld.pid
SlurmdPidFile=$own/slurmd.pid
SlurmctldLogFile=$own/slurmctld.log
SlurmdLogFile=$own/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
ReturnToService=2
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
munged --force --key-file "$own/munge.key" --socket "$own/munge.socket" --pid-file "$own/munged.pid" \
    --log-file "$own/munged.log" --seed-file "$own/munge.seed"
slurmctld
slurmd
timeout 60 bash -c 'until sinfo --noheader --format=%T | grep -q idle; do sleep 1; done' || fail "the node did not come up"
sinfo

rm -rf "results/$study"
no_gpu=(); nvidia-smi -L >/dev/null 2>&1 || no_gpu=(--set-resources train:gpu=0 train:runtime=60 attention:gpu=0)
./run_all.sh "$study" --profile profiles/slurm "${no_gpu[@]}" >"$own/run.log" 2>&1 &
running=$!
until job=$(squeue --noheader --states=running --format='%i %k' | awk '/rule_train/ { print $1; exit }') && [ -n "$job" ]; do
    kill -0 "$running" 2>/dev/null || { cat "$own/run.log"; fail "the study ended before a training ran"; }
    sleep 1
done
scontrol show job "$job" | grep -E 'JobId|TimeLimit|NumCPUs|TRES'
echo "cancelling job $job: $(squeue --noheader --jobs "$job" --format=%k)"
scancel "$job"
status=0
wait "$running" || status=$?
grep -E "^\[|job|Trying to restart|error|report" "$own/run.log" || true
squeue --states=all --format='%.6i %.12T %k'
[ "$status" = 0 ] || fail "the study failed: $status"
[ -f "results/$study/report.html" ] || fail "there is no report"
squeue --noheader --states=cancelled --format=%i | grep -qx "$job" || fail "the job was not cancelled"
echo ok
