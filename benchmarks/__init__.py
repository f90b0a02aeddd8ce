"""Benchmarks behind the figures in results/, which take longer than a test may."""
