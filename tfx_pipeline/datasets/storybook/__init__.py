"""Captioned scenes of common things in places, at times of day and in weather, drawn from SVG art."""
