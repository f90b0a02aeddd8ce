"""Runner in torch, of a module that takes tensors by position, with threads of its own."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from edgepress.core.outputs import as_one
from export.core.runner import Batch, Runner


class TorchRunner(Runner):
    """A loaded module. torch's threads are the process's: they are given back at `close`."""

    def __init__(
        self,
        module: Callable[..., torch.Tensor | Sequence[torch.Tensor]],
        names: Sequence[str],
        runtime: str,
        threads: int,
    ) -> None:
        self.runtime = f"{runtime}, torch {torch.__version__}"
        self._module = module
        self._names = names
        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(threads)

    def __call__(self, batch: Batch) -> np.ndarray:
        with torch.inference_mode():
            found = self._module(*(torch.from_numpy(batch[name]) for name in self._names))
        parts = (found,) if isinstance(found, torch.Tensor) else found
        return as_one([part.numpy() for part in parts])

    def close(self) -> None:
        """Release the module, and give the process its threads back."""
        del self._module
        torch.set_num_threads(self._threads_before)
