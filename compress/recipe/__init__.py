"""Run a whole experiment that a YAML file describes, and write its table."""
