"""The root of runs, their history, and its maintenance."""
