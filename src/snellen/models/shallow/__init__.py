"""Features that nobody trains, and learners on them, through scikit-learn and its kin."""

from snellen.models.shallow.building import hand_made_names, kind_of_features, shallow_entry
from snellen.models.shallow.features import FEATURES, FeatureKind
from snellen.models.shallow.learners.catalog import LEARNERS
from snellen.models.shallow.learners.rows import Learner
from snellen.models.shallow.learners.values import VALUE_LEARNERS, ValueLearner
from snellen.models.shallow.model import ShallowClassifier, ShallowModel

__all__ = [
    "FEATURES",
    "LEARNERS",
    "VALUE_LEARNERS",
    "FeatureKind",
    "Learner",
    "ShallowClassifier",
    "ShallowModel",
    "ValueLearner",
    "hand_made_names",
    "kind_of_features",
    "shallow_entry",
]
