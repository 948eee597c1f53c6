"""What a run has predicted, held against the truth."""
