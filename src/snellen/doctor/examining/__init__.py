"""Examining anybody's model: what is examined, how it is understood, and how it is left as it was."""

from snellen.doctor.examining.recognition import subject_of
from snellen.doctor.examining.subject import Subject, Task
from snellen.doctor.examining.untouched import untouched

__all__ = ["Subject", "Task", "subject_of", "untouched"]
