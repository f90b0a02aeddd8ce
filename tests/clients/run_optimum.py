"""Batches through a folder's ONNX files, opened by optimum: SOURCE.npz TARGET.npz FOLDER FILE...

Writes the logits of each file, and those of the one that optimum chooses as "default"; prints the labels.
"""

import json
import sys
from collections import defaultdict

import numpy as np
from optimum.onnxruntime import ORTModelForSequenceClassification


def main(source: str, target: str, folder: str, *files: str) -> None:
    batches = defaultdict(dict)
    for place, array in np.load(source).items():
        name, at = place.split("/")
        batches[int(at)][name] = array
    chosen = {file: {"subfolder": "onnx", "file_name": file} for file in files}
    logits = {}
    for name, where in {**chosen, "default": {}}.items():
        model = ORTModelForSequenceClassification.from_pretrained(folder, **where)
        logits[name] = np.concatenate([model(**batches[at]).logits for at in sorted(batches)])
    np.savez(target, **logits)
    print(json.dumps(model.config.id2label))


if __name__ == "__main__":
    main(*sys.argv[1:])
