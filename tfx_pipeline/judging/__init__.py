"""Metrics, thresholds and verdicts."""
