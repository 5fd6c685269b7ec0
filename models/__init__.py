"""Keras networks, their training steps and metrics, the device policy, and the fused text-to-image model."""
