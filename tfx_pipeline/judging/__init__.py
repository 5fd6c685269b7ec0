"""What the models are measured by, and whether that is enough."""
