"""Workers: jobs in other processes, on this machine, a Ray cluster or Slurm."""
