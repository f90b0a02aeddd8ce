"""Measuring on an attached Android phone, over the real `adb`; README.md is the contract with the app."""

from device_bench.phone.run import exclusive_phone, measure_on_phone, phone_environment

__all__ = ["exclusive_phone", "measure_on_phone", "phone_environment"]
