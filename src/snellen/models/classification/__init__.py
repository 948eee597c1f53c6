"""Networks that sort whole images."""

from snellen.models.classification.answers import ANSWERS, Answer, ClassAnswer, LabelSetAnswer, ValueAnswer
from snellen.models.classification.classifier import ImageClassifier
from snellen.models.classification.heads import ClassMapHead, FcHead, Head, HeadBuilder, MeanHead
from snellen.models.classification.trunk import Auxiliary, HeadOutput, Trunk

__all__ = [
    "ANSWERS",
    "Answer",
    "Auxiliary",
    "ClassAnswer",
    "ClassMapHead",
    "FcHead",
    "Head",
    "HeadBuilder",
    "HeadOutput",
    "ImageClassifier",
    "LabelSetAnswer",
    "MeanHead",
    "Trunk",
    "ValueAnswer",
]
