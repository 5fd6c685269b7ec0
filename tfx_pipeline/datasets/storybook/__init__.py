"""Scenes of things that anyone can name, in places, times and weathers, drawn from SVG art and captioned."""
