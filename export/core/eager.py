"""The model as torch runs it: the parent that every exported file is compared with."""

import numpy as np
import torch
from transformers import PreTrainedModel

from edgepress.core.inputs import input_names
from edgepress.core.outputs import model_logits
from export.core.runner import Batch, Runner


class EagerRunner(Runner):
    """A transformers model in torch eager mode; ignores inputs that it does not take."""

    runtime = f"torch {torch.__version__}"

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model.eval()
        self._names = input_names(model)

    def __call__(self, batch: Batch) -> np.ndarray:
        with torch.inference_mode():
            inputs = {name: torch.from_numpy(batch[name]) for name in self._names if name in batch}
            logits: np.ndarray = model_logits(self._model(**inputs)).float().numpy()
        return logits

    def close(self) -> None:
        """Nothing: the model is its owner's."""
