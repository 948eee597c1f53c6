"""Snellen trains vision models on your images and tells the truth about them."""
