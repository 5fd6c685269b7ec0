"""Measured quality on public data: one module a group of rows, each with a `measure` function."""
