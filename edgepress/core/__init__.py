"""Basic notions: models, tasks, metrics, artifacts, and the sources of their bytes."""
