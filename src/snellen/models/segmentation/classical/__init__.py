"""Classical segmenters as models: usable as they are, and fitted where masks have something to tell."""

from snellen.models.segmentation.classical.building import CLASSICAL_SEGMENTERS
from snellen.models.segmentation.classical.methods import METHODS, Method, find_method
from snellen.models.segmentation.classical.model import ClassicalSegmenter, Cutting

__all__ = ["CLASSICAL_SEGMENTERS", "METHODS", "ClassicalSegmenter", "Cutting", "Method", "find_method"]
