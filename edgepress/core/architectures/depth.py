"""Fewer layers: what a config says of each layer by its number, and names of layers in the weights."""

import re
from collections.abc import Sequence

from transformers import PretrainedConfig

from edgepress.core.errors import EdgepressError

# Of the weights of a layer: BERT's family, ModernBERT.
LAYER = re.compile(r"(?<![^.])(layers?)\.(\d+)\.")
# ModernBERT: every n-th layer, from the first on, sees the whole text; transformers 5 lists them all.
EVERY, KINDS = "global_attn_every_n_layers", "layer_types"


def first_stays(config: PretrainedConfig) -> bool:
    """Whether the first layer is unlike the others: ModernBERT's has no norm before its attention."""
    return hasattr(config, EVERY) or hasattr(config, KINDS)


def keep_layers(config: PretrainedConfig, kept: Sequence[int]) -> None:
    """Make a config describe a model of these layers, each of which stays what it is; in place.

    Args:
        config: of the whole model.
        kept: numbers of layers, from 0, in the order in which they stand afterwards.

    Raises:
        EdgepressError: layers differ in kind (ModernBERT's local and global attention, and its first layer,
            which has no norm), and the config cannot say which ones are left.
    """
    config.num_hidden_layers = len(kept)
    every, kinds = getattr(config, EVERY, None), getattr(config, KINDS, None)
    if not first_stays(config):
        return
    model = f"a {config.model_type}'s layers"
    if kept[0] != 0:
        raise EdgepressError(f"{model} differ: the first has to stay the first", "name layers from 0 on")
    if kinds is not None:
        setattr(config, KINDS, [kinds[layer] for layer in kept])
    elif every and any((new % every == 0) != (old % every == 0) for new, old in enumerate(kept)):
        raise EdgepressError(
            f"{model} {' '.join(map(str, kept))} do not alternate as transformers 4 has it: "
            f"the first of each {every} sees the whole text",
            "install transformers 5, or name other layers",
        )
