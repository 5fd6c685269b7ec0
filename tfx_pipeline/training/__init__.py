"""What the Trainers run: records become arrays, arrays become models."""
