"""Checks of model, loss, optimizer and plan before the first step."""
