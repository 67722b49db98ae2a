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
[ ! -e /etc/slurm/slurm.conf ] || fail "this machine has a Slurm: use it"  # SLURM_CONF does not reach a job's srun
set_up_environment
python -c 'import snakemake_executor_plugin_slurm' 2>/dev/null ||
    python -m pip install --quiet "$(sed -n 's/^slurm = \["\(.*\)"\]/\1/p' pyproject.toml)"

own=$(mktemp -d)
running=
stop() {  # the study, and the daemons by their pid files
    local name pid
    if [ -n "$running" ]; then kill "$running" 2>/dev/null || true; wait "$running" || true; fi
    for name in slurmd slurmctld munged; do
        pid=$(cat "$own/$name.pid" 2>/dev/null) && kill "$pid" && while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
    done
    rm -rf "$own" /etc/slurm/slurm.conf
}
trap 'stop || true' EXIT

head -c 128 /dev/urandom >"$own/munge.key"
chmod 600 "$own/munge.key"
mkdir "$own/state" "$own/spool"
cat >/etc/slurm/slurm.conf <<CONF
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
MinJobAge=3600
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
# This Slurm has no GPU and keeps no accounts, of which sacct would tell.
./run_all.sh "$study" --profile profiles/slurm --set-resources train:gpu=0 attention:gpu=0 \
    --slurm-status-command squeue --slurm-init-seconds-before-status-checks 5 >"$own/run.log" 2>&1 &
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
running=
grep -E "^\[|job|Trying to restart|error|report" "$own/run.log" || true
squeue --states=all --format='%.6i %.12T %k'
[ "$status" = 0 ] || fail "the study failed: $status"
[ -f "results/$study/report.html" ] || fail "there is no report"
grep -q "Trying to restart" "$own/run.log" || fail "the cancelled job was not made again"
echo ok
