"""Measuring on an attached Android phone, over the real `adb`; README.md is the contract with the app."""

from device_bench.phone.run import measure_on_phone, phone_alone, phone_environment

__all__ = ["measure_on_phone", "phone_alone", "phone_environment"]
