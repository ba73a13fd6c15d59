#!/usr/bin/env bash
# A SLURM cluster of this one machine, for tests:  setup.sh start DIR | setup.sh stop DIR
#
# Everything is in DIR: configuration, keys, sockets, logs, state. `start` waits until the node takes jobs; a client then
# needs SLURM_CONF=DIR/slurm.conf. Needs root and Debian's packages slurm-wlm and munge (apt-get install).
set -euo pipefail

daemons=(slurmd slurmctld munged)
dir=$(realpath -m "$2")

configure() {
    mkdir -p "$dir/state" "$dir/spool"
    chmod 755 "$dir"
    (umask 077 && head -c 1024 /dev/urandom > "$dir/munge.key")
    cat > "$dir/slurm.conf" <<EOF
ClusterName=tests
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$((20000 + RANDOM % 5000))
SlurmdPort=$((25000 + RANDOM % 5000))
AuthType=auth/munge
AuthInfo=socket=$dir/munge.socket,cred_expire=5
CredType=cred/munge
SlurmUser=root
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=1
ReturnToService=2
KillWait=30
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=tests Nodes=ALL Default=YES MaxTime=INFINITE State=UP
EOF
}

start() {
    configure
    export SLURM_CONF="$dir/slurm.conf"
    munged --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" --pid-file="$dir/munged.pid" \
        --log-file="$dir/munged.log" --seed-file="$dir/munged.seed"
    slurmctld -i
    slurmd
    for _ in $(seq 100); do
        [ "$(sinfo --noheader --format=%t 2>/dev/null)" = idle ] && return
        sleep 0.2
    done
    echo "The node does not take jobs:" >&2
    tail -n 5 "$dir"/slurmctld.log "$dir"/slurmd.log >&2
    exit 1
}

stop() {
    SLURM_CONF="$dir/slurm.conf" timeout 10 scancel --full --signal=KILL --user="$(id -un)" || true
    for daemon in "${daemons[@]}"; do
        [ -e "$dir/$daemon.pid" ] && kill "$(cat "$dir/$daemon.pid")" || true
    done
}

"$1"
