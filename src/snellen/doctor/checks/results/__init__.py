"""Checks of what a trained model predicts."""
