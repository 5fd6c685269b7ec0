"""Where runs live: their root, their history, and its upkeep."""
