"""Puts models into the Android demo app's assets."""
