"""What optimum's exporter has to know of a model: its inputs and how they vary."""

from optimum.exporters.onnx.base import OnnxConfig
from optimum.exporters.onnx.config import TextEncoderOnnxConfig
from optimum.exporters.tasks import TasksManager
from optimum.utils import NormalizedTextConfig
from transformers import PreTrainedModel

from edgepress.core.architectures import SmallClassifier
from edgepress.core.errors import EdgepressError, first_line
from edgepress.core.inputs import input_names

TASK = "text-classification"


class SmallClassifierOnnxConfig(TextEncoderOnnxConfig):  # type: ignore[misc]  # optimum is not typed
    """The inputs of the classifiers that transformers does not have."""

    NORMALIZED_CONFIG_CLASS = NormalizedTextConfig

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        axes = {0: "batch_size", 1: "sequence_length"}
        return {"input_ids": axes, "attention_mask": axes}


def export_config(model: PreTrainedModel) -> OnnxConfig:
    """optimum's export config for the architecture, or ours for what is ours, with the inputs that this
    model is given: optimum goes by the architecture alone.

    Raises:
        EdgepressError: neither has one.
    """
    if isinstance(model, SmallClassifier):
        return SmallClassifierOnnxConfig(model.config, task=TASK)
    try:
        config_type = TasksManager.get_exporter_config_constructor(
            "onnx", model, task=TASK, library_name="transformers"
        )
    except (KeyError, ValueError) as error:
        raise EdgepressError(f"no ONNX export for {model.config.model_type}: {first_line(error)}") from error
    axes = {0: "batch_size", 1: "sequence_length"}
    inputs = dict.fromkeys(input_names(model), axes)
    config = config_type(model.config)
    config.__class__ = type("OwnInputs", (type(config),), {"inputs": property(lambda _: inputs)})
    return config
