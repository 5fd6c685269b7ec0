"""The command line over the three rooms, and nothing else."""
