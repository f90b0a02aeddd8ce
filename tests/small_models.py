"""One small random classifier of each architecture, for what has to hold for all of them."""

from collections.abc import Callable

from conftest import small_bert
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    MobileBertConfig,
    MobileBertForSequenceClassification,
    MPNetConfig,
    MPNetForSequenceClassification,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
)

LONGEST = 64
VOCABULARY = 300
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": LONGEST,
    "initializer_range": 0.2,
}
DISTILBERT = {"vocab_size": VOCABULARY, "dim": 32, "n_layers": 1, "n_heads": 2, "hidden_dim": 64}
MOBILEBERT = {**SIZES, "embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16}
# Positions of RoBERTa's family begin behind the padding id.
ROBERTA = {**SIZES, "max_position_embeddings": LONGEST + 2}
ARCHITECTURES: dict[str, Callable[[], PreTrainedModel]] = {
    "bert": lambda: small_bert(VOCABULARY),
    "distilbert": lambda: DistilBertForSequenceClassification(
        DistilBertConfig(**DISTILBERT, max_position_embeddings=LONGEST, initializer_range=0.2)
    ),
    "roberta": lambda: RobertaForSequenceClassification(RobertaConfig(**ROBERTA, type_vocab_size=1)),
    "mpnet": lambda: MPNetForSequenceClassification(MPNetConfig(**ROBERTA)),
    "albert": lambda: AlbertForSequenceClassification(AlbertConfig(**SIZES, embedding_size=16)),
    "mobilebert": lambda: MobileBertForSequenceClassification(MobileBertConfig(**MOBILEBERT)),
}
WITH_TOKEN_TYPES = ("bert", "albert", "mobilebert")
