"""Give each string by itself to an ONNX file that takes strings.

Argument: the file. Standard input: a JSON list of strings; standard output: their ids, as JSON.
"""

import json
import sys

import numpy as np
import onnxruntime
import onnxruntime_extensions

options = onnxruntime.SessionOptions()
options.register_custom_ops_library(onnxruntime_extensions.get_library_path())
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
ids = [
    session.run(["input_ids"], {"text": np.array([text], dtype=object)})[0][0].tolist()
    for text in json.load(sys.stdin)
]
print(json.dumps(ids))
