"""The trainings that the Trainers run, from records to arrays to models."""
