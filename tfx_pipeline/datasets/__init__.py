"""Datasets of captioned pictures: reading a folder, importing, and generating."""
