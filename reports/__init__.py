"""What is shown of a run, each read from the run's events and nothing else."""
