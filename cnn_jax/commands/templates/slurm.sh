#!/bin/bash
# ${name} on ${nodes} nodes of ${gpus} GPUs, as `sbatch` takes it from the folder of the experiment.
#
# The environment is that of the shell which calls sbatch. Two minutes before the end of the time,
# and when Slurm takes a node away, the run saves and ends with status ${resumable}; the job then
# queues itself again and goes on from there.
#SBATCH --job-name=${job}
#SBATCH --nodes=${nodes}
#SBATCH --ntasks-per-node=${gpus}
#SBATCH --gpus-per-node=${gpus}
#SBATCH --time=${time}
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out

# One task a GPU. The tasks of a node see all its GPUs (so no --gpus-per-task), of which each takes
# the one of its number.
export again="$$PWD/.again-$$SLURM_JOB_ID"
rm -f "$$again"

# A task that fails ends the others. One that has saved must not: it leaves a note instead.
srun --kill-on-bad-exit=1 bash -c '
    trap : USR1 TERM  # meant for the experiment
    "$$@"
    status=$$?
    if [ "$$status" -eq ${resumable} ]; then
        touch "$$again"
        status=0
    fi
    exit "$$status"
' task ${command}
status=$$?

if [ "$$status" -eq 0 ] && [ -e "$$again" ]; then
    rm -f "$$again"
    scontrol requeue "$$SLURM_JOB_ID"
fi
exit "$$status"
