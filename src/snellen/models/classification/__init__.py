"""Networks that sort whole images."""

from snellen.models.classification.classifier import ClassifierOutput, ImageClassifier

__all__ = ["ClassifierOutput", "ImageClassifier"]
