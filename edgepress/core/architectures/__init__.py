"""Classifiers that transformers does not have, and pruned shapes that its configs cannot say.

To add a classifier: one module with a config and a model, registered below.
"""

from transformers import AutoConfig, AutoModelForSequenceClassification

from edgepress.core.architectures.base import SmallClassifier
from edgepress.core.architectures.bilstm import BiLstmConfig, BiLstmForSequenceClassification
from edgepress.core.architectures.cnn import CnnConfig, CnnForSequenceClassification
from edgepress.core.architectures.static import StaticConfig, StaticForSequenceClassification

__all__ = [
    "BiLstmConfig",
    "BiLstmForSequenceClassification",
    "CnnConfig",
    "CnnForSequenceClassification",
    "SmallClassifier",
    "StaticConfig",
    "StaticForSequenceClassification",
]

for _config, _model in (
    (BiLstmConfig, BiLstmForSequenceClassification),
    (CnnConfig, CnnForSequenceClassification),
    (StaticConfig, StaticForSequenceClassification),
):
    AutoConfig.register(_config.model_type, _config)
    AutoModelForSequenceClassification.register(_config, _model)
