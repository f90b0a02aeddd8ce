"""Measuring on an attached Android phone, over the real `adb`; README.md is the contract with the app."""
