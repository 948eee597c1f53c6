"""Healthy and sick networks, small enough to be built for every test."""
