"""Fine-tune a pretrained encoder on a task."""
