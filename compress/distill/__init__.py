"""Distil a teacher into a smaller student."""
