"""Training from arrays: settings, batches, the training loop and a recipe for each model. Needs no pipeline."""
