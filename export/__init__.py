"""How a model is written down and run. Every module here is a format; what they share lies in the folders."""
