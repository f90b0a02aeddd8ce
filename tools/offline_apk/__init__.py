"""Builds and verifies the demo app from what Debian, npm and PyPI have: no Gradle, no Maven."""
