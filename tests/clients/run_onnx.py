"""Run ONNX files in whatever ONNX Runtime this Python has.

Arguments: a file of batches (.npz, "input_ids/0", ...), the .npz to write (file name -> logits), files.
"""

import sys

import numpy as np
import onnxruntime

batches, target, *files = sys.argv[1:]
arrays = np.load(batches)
logits = {}
for file in files:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    rows = [
        session.run(["logits"], {entry.name: arrays[f"{entry.name}/{at}"] for entry in session.get_inputs()})[
            0
        ]
        for at in range(sum(name.startswith("input_ids/") for name in arrays.files))
    ]
    logits[file] = np.concatenate(rows)
np.savez(target, version=onnxruntime.__version__, **logits)
