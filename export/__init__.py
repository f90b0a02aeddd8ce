"""Export of models to files, and runtimes of these. Every module is a format; folders hold shared code."""

from edgepress.core.interruption import leave_where_run

leave_where_run(__name__)
