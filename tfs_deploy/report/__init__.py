# SPDX-License-Identifier: Apache-2.0
"""Reports: tables and sections, described once and written for the terminal, as Markdown or as HTML."""

from __future__ import annotations

from tfs_deploy.report.rollout import arms_table, rollout_markdown, rollout_report, steps_table
from tfs_deploy.report.rollout_html import rollout_html
from tfs_deploy.report.tables import Column, Table, markdown_table, terminal_table

__all__ = [
    "Column",
    "Table",
    "arms_table",
    "markdown_table",
    "rollout_html",
    "rollout_markdown",
    "rollout_report",
    "steps_table",
    "terminal_table",
]
