"""Runs of networks that are followed operation by operation."""

from snellen.models.tracing.reach import Reach
from snellen.models.tracing.tracer import ModuleTrace, RunTracer, traced_modules

__all__ = ["ModuleTrace", "Reach", "RunTracer", "traced_modules"]
