"""Errors of a build, each told in one line."""


class BuildError(Exception):
    """The sources, or what a tool made of them, are wrong."""


class ToolMissingError(BuildError):
    """A tool cannot be had on this machine: nothing is said about the app."""
