"""Evidence: measured once, judged by many checks."""

from snellen.doctor.evidence.gathering import Evidence, SourceFailed

__all__ = ["Evidence", "SourceFailed"]
