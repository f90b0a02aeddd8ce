"""Widths of a model, by the names that configs have for them."""

from collections.abc import Mapping

from transformers import PretrainedConfig

HIDDEN, HEADS, FEED_FORWARD, EMBEDDING = (
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "embedding_size",
)
# DistilBERT's name, and everybody else's; transformers translates those of hidden size and heads.
FEED_FORWARD_NAMES = ("hidden_dim", FEED_FORWARD)


def feed_forward_name(config: PretrainedConfig) -> str:
    """The config's name for the units between its two feed-forward matrices."""
    return next(name for name in FEED_FORWARD_NAMES if hasattr(config, name))


def set_widths(config: PretrainedConfig, widths: Mapping[str, int]) -> None:
    """Write widths into a config, in place.

    Args:
        config: of a model that is to be built.
        widths: by the names above. What else the config has as wide as the layers (`pooler_hidden_size`)
            changes with them.
    """
    before = getattr(config, HIDDEN)
    for name, width in widths.items():
        setattr(config, feed_forward_name(config) if name == FEED_FORWARD else name, width)
    if HIDDEN in widths:
        same = [name for name, own in config.to_dict().items() if name.endswith(HIDDEN) and own == before]
        for name in same:
            setattr(config, name, widths[HIDDEN])
