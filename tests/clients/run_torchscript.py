"""Run a TorchScript file in a process that cannot import transformers.

Arguments: a file of batches (.npz, "input_ids/0", ...), the .npz to write (logits), the TorchScript
file, the names of its inputs.
"""

import sys

import numpy as np
import torch

sys.modules["transformers"] = None  # from here on importing it fails

batches, target, file, *names = sys.argv[1:]
arrays = np.load(batches)
model = torch.jit.load(file)
with torch.no_grad():
    rows = [
        model(*(torch.from_numpy(arrays[f"{name}/{at}"]) for name in names))
        for at in range(sum(name.startswith("input_ids/") for name in arrays.files))
    ]
np.savez(target, logits=torch.cat(rows).numpy())
