"""The model as torch runs it: the parent that every exported file is compared with."""

import numpy as np
import torch
from transformers import PreTrainedModel

from export.base.runner import Batch, Runner


class EagerRunner(Runner):
    """A transformers classifier in torch eager mode."""

    runtime = f"torch {torch.__version__}"

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model.eval()

    def __call__(self, batch: Batch) -> np.ndarray:
        with torch.inference_mode():
            inputs = {name: torch.from_numpy(value) for name, value in batch.items()}
            logits: np.ndarray = self._model(**inputs).logits.float().numpy()
        return logits

    def close(self) -> None:
        """Nothing: the model is its owner's."""
