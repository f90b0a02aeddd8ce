"""What to do to a model: finetune and quantize."""
