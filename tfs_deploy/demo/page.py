# SPDX-License-Identifier: Apache-2.0
"""The demo's Markdown report."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from tfs_deploy.demo.agreement import agreement_table
from tfs_deploy.demo.story import steps_table
from tfs_deploy.report import Column, Table, markdown_table, rollout_markdown

if TYPE_CHECKING:
    from tfs_deploy.demo.story import Story


def next_commands(story: Story, program: str, grpc_port: int) -> list[tuple[str, str]]:
    """Return the three commands to try next, each with what it does; ``program`` is the command of tfs-deploy."""
    folder = story.folder
    version, deployment, row = (shlex.quote(str(path)) for path in (folder.models / "2", folder.deployment, folder.row))
    return [
        (f"{program} inspect {version}", "what version 2 holds, without TensorFlow"),
        (f"{program} up {deployment}", "start the server again, as the rollout left it"),
        (
            f"{program} predict localhost:{grpc_port} digits --label stable --input image=@{row}",
            f"call it (and stop it with: {program} down {deployment})",
        ),
    ]


def markdown(story: Story, commands: list[tuple[str, str]]) -> str:
    """Return the demo as one Markdown page."""
    trained = Table.of(
        ["version", "model", Column("accuracy in Keras, held out", "right")],
        [[event["version"], event["description"], f"{event['accuracy']:.2%}"] for event in story.trained],
    )
    parts = [
        "# Handwritten digits: from training to a rolled-out second version\n",
        f"Made by `tfs-deploy demo` in {story.seconds:.0f} s.\n",
        "## Trained and exported\n",
        markdown_table(trained),
        "The accuracy of version 3 is that of the model that was trained; its export holds shuffled weights.\n",
        "## Served answers against Keras\n",
        markdown_table(agreement_table(story.agreements)),
        "## Rollout under load\n",
        markdown_table(steps_table(story)),
    ]
    for result, title in ((story.promoted, "Version 1 to 2, gate by gate"), (story.refused, "Version 2 to 3, refused")):
        if result is not None:
            parts.append(rollout_markdown(result, title=title))
    parts.append("## Try next\n")
    parts.append("".join(f"- `{command}`: {what}\n" for command, what in commands))
    return "\n".join(parts)
