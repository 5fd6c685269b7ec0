"""Pushed models: their cards, and their versions in the folder that servers watch."""
