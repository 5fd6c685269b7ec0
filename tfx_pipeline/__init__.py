"""Data sets in, the TFX pipeline that trains and judges the models, and its runners."""
