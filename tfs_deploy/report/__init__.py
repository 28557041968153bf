"""Reports: a table is described once and written for the terminal or as Markdown."""

from __future__ import annotations

from tfs_deploy.report.rollout import rollout_markdown, steps_table
from tfs_deploy.report.tables import Column, Table, markdown_table, terminal_table

__all__ = ["Column", "Table", "markdown_table", "rollout_markdown", "steps_table", "terminal_table"]
