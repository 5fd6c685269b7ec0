"""From blessed models to served ones: assembled, tried on a server, carded and pushed."""
