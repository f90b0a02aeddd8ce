"""One small random classifier of each architecture, for what has to hold for all of them."""

from collections.abc import Callable

from conftest import small_bert
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    CamembertConfig,
    CamembertForSequenceClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    MobileBertConfig,
    MobileBertForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    MPNetConfig,
    MPNetForSequenceClassification,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
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
# Relative positions, and no token types.
DEBERTA = {
    **SIZES,
    "type_vocab_size": 0,
    "relative_attention": True,
    "position_biased_input": False,
    "pos_att_type": ["p2c", "c2p"],
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "position_buckets": 16,
}
# Local and global attention in turn, rotary positions, a feed-forward layer with a gate, no biases.
MODERNBERT = {
    **{name: value for name, value in SIZES.items() if name != "initializer_range"},
    "num_hidden_layers": 3,
    "global_attn_every_n_layers": 3,
    "local_attention": 16,
    "initializer_range": 0.2,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "cls_token_id": 2,
    "eos_token_id": 3,
    "sep_token_id": 3,
}
ARCHITECTURES: dict[str, Callable[[], PreTrainedModel]] = {
    "bert": lambda: small_bert(VOCABULARY),
    "distilbert": lambda: DistilBertForSequenceClassification(
        DistilBertConfig(**DISTILBERT, max_position_embeddings=LONGEST, initializer_range=0.2)
    ),
    "roberta": lambda: RobertaForSequenceClassification(RobertaConfig(**ROBERTA, type_vocab_size=1)),
    "mpnet": lambda: MPNetForSequenceClassification(MPNetConfig(**ROBERTA)),
    "albert": lambda: AlbertForSequenceClassification(AlbertConfig(**SIZES, embedding_size=16)),
    "mobilebert": lambda: MobileBertForSequenceClassification(MobileBertConfig(**MOBILEBERT)),
    "electra": lambda: ElectraForSequenceClassification(ElectraConfig(**SIZES, embedding_size=16)),
    "xlm-roberta": lambda: XLMRobertaForSequenceClassification(
        XLMRobertaConfig(**ROBERTA, type_vocab_size=1)
    ),
    "camembert": lambda: CamembertForSequenceClassification(CamembertConfig(**ROBERTA, type_vocab_size=1)),
    "deberta-v2": lambda: DebertaV2ForSequenceClassification(DebertaV2Config(**DEBERTA)),
    "modernbert": lambda: ModernBertForSequenceClassification(ModernBertConfig(**MODERNBERT)),
}
WITH_TOKEN_TYPES = ("bert", "albert", "mobilebert", "electra")
