"""Learners of shallow models: a file for each family."""
