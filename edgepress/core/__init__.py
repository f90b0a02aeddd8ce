"""What things are: models, tasks, metrics, artifacts, and where their bytes come from."""
