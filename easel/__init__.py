"""The command line over the three rooms, and nothing else."""

IMPORT_NAMES = ("easel", "models", "serving", "tfx_pipeline")
"""What the package adds to an environment; all but the first are common names."""
