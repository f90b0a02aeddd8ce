"""Editing and quantizing ONNX graphs."""
