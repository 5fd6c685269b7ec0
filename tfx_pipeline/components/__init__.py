"""The pipeline's own TFX components, and the types of their artifacts."""
