"""The checks: one file each, named after the fault."""
