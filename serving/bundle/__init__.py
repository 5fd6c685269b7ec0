"""Inference with the models of a bundle, with LiteRT, NumPy and Pillow only; `models.bundle` writes bundles.

The results equal those of the served graph up to rounding: the same prompt and seed give the same picture.
"""
