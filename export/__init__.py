"""Export of models to files, and runtimes of these. Every module is a format; folders hold shared code."""
