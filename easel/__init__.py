"""The command line."""

IMPORT_NAMES = ("easel", "models", "serving", "tfx_pipeline")
"""The import names that the package adds to an environment."""
