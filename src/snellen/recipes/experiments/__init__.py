"""Many trainings on one data set, to be compared: which, run so that a kill loses little, and what they say."""
