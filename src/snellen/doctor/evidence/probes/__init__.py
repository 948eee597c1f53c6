"""Probes of a model with one batch; each leaves everything as it was."""
