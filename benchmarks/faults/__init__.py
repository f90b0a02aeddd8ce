"""Faults: interrupted commands, full file systems and damaged files, and what they leave behind."""
