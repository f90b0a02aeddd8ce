"""Opening what the user named as a masked language model: an encoder with a head over the vocabulary."""

from dataclasses import replace

from transformers import AutoModelForMaskedLM, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from edgepress.core.architectures.pruned import SHAPES
from edgepress.core.artifact import is_artifact, open_artifact
from edgepress.core.errors import EdgepressError
from edgepress.core.heads import MASKED_LM
from edgepress.core.loading import OpenedModel
from edgepress.core.models import ModelSource, find_model
from edgepress.core.pretrained import load_config, load_tokenizer
from edgepress.core.weights import load_weights


def open_masked_lm(name: str, seed: int = 0) -> OpenedModel:
    """Resolve, verify and load a pretrained encoder; its head is new where it has none, and tied to the
    embeddings.

    Args:
        name: zoo name, Hub id or local folder (an artifact is verified first).
        seed: for a new head.

    Returns:
        the model, whose `head_trained` says whether its head over the vocabulary was trained.

    Raises:
        EdgepressError: as `open_model`, or there is no such model of its architecture.
    """
    source = find_model(name, "pretrained")
    artifact = None
    if source.origin == "local" and source.folder is not None and is_artifact(source.folder):
        artifact = open_artifact(source.folder)
        source = replace(source, origin="trained")
    model, head_trained = _load(source, seed)
    tokenizer = load_tokenizer(source, model)
    if tokenizer.mask_token is None:
        raise EdgepressError(f"the tokenizer of {name} has no mask token", "name another encoder")
    return OpenedModel(source, model, tokenizer, head_trained, None, artifact)


def _load(source: ModelSource, seed: int) -> tuple[PreTrainedModel, bool]:
    config = load_config(source)
    if config.model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        raise EdgepressError(
            f"{source.name}: a {config.model_type} is no masked language model",
            "name a BERT, DistilBERT, RoBERTa, MPNet, ALBERT or MobileBERT",
        )
    if hasattr(config, SHAPES):
        raise EdgepressError(f"{source.name} was pruned to other shapes in each layer", "pre-train before")
    assert source.folder is not None, "there are no random weights among pretrained ones"
    model, head_trained = load_weights(source, config, AutoModelForMaskedLM, MASKED_LM, "others", seed)
    return model.eval(), head_trained
