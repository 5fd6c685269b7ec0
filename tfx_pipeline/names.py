"""What the models are called, in folders, components and reports."""

MODELS = ("language_model", "generator", "restorer")
MODELS_OF_PICTURES = ("generator", "restorer")
FUSED = "text_to_image"
