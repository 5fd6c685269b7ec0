"""The models of a bundle, drawn from by LiteRT, NumPy and Pillow alone; `models.bundle` writes one.

Everything here does what the served graph does, to within rounding: the same prompt and seed give the same picture.
"""
