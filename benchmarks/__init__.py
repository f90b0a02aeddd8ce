"""Campaigns that take longer than a test may; their records are kept in results/."""
