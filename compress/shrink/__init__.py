"""The smallest or fastest file of a classifier within limits: a chain of techniques, judged and timed."""
