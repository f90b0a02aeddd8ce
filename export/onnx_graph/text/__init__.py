"""A tokenizer as a part of the ONNX graph: strings in, token ids out."""
