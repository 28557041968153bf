# SPDX-License-Identifier: Apache-2.0
"""Every code block of every page, and what becomes of it: which test runs it, or why none does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
MARKER = re.compile(r"<!-- not run: (.+?) -->")
#: a first word that makes a line of a block a command
COMMANDS = ("tfs-deploy ", "scripts/", "./scripts/", "python ", "pip ", "docker ", "curl ", ".venv/bin/")

_SITE = "tests/e2e/docs/test_tutorials.py"
_FILES = "tests/e2e/docs/test_code_blocks.py"
#: page, kind of block -> the test that runs it. ``*`` is every page without a row of its own.
RUN_BY = {
    ("README.md", "sh"): "tests/e2e/test_readme.py",
    ("README.md", "python"): "tests/e2e/test_readme.py",
    ("docs/ci.md", "sh"): "tests/e2e/verify/test_ci_guide.py",
    ("docs/ci.md", "yaml"): "tests/e2e/verify/test_ci_guide.py",
    ("docs/clients.md", "python"): "tests/contract/test_client_recipes.py",
    ("docs/docker.md", "yaml"): "tests/unit/deployment/file/test_docker_page.py",
    ("docs/export.md", "python"): "tests/unit/export/test_export_guide.py",
    ("docs/export.md", "indented"): "tests/unit/export/test_export_guide.py",
    ("docs/signing.md", "sh"): "tests/e2e/test_signed_versions.py",
    ("docs/signing.md", "yaml"): "tests/e2e/test_signed_versions.py",
    ("docs/rollouts.md", "sh"): "tests/e2e/rollout/test_guide.py",
    ("docs/rollouts.md", "yaml"): "tests/e2e/rollout/test_guide.py",
    ("docs/rollouts.md", "python"): "tests/e2e/rollout/test_guide.py",
    ("docs/python.md", "python"): "tests/e2e/test_examples.py",
    ("docs/server.md", "python"): "tests/e2e/server/test_server_page.py",
    ("docs/storage.md", "sh"): "tests/contract/store_places/test_page.py",
    ("docs/testing.md", "python"): "tests/e2e/server/test_server_page.py",
    ("docs/tutorial.md", "sh"): _SITE,
    ("docs/tutorial.md", "python"): _SITE,
    ("docs/tutorial.md", "yaml"): _SITE,
    ("docs/coming-from/models-config.md", "sh"): _SITE,
    ("docs/coming-from/models-config.md", "text"): _SITE,
    ("docs/how-to/keras-in-docker.md", "python"): _SITE,
    ("docs/how-to/keras-in-docker.md", "sh"): _SITE,
    ("*", "yaml"): _FILES,
    ("*", "json"): _FILES,
}


@dataclass(frozen=True)
class Block:
    """A code block: its page, the line on which its text begins, its kind, its title, and why it is not run."""

    page: str
    line: int
    kind: str
    title: str
    text: str
    reason: str | None

    @property
    def commands(self) -> list[str]:
        """The command lines in it, joined where they are continued."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line.removeprefix("$ ") for line in lines if line.removeprefix("$ ").startswith(COMMANDS)]

    @property
    def outcome(self) -> str | None:
        """``run: TEST`` or ``not run: REASON``; ``None`` for a block that nothing is known of."""
        if self.reason is not None:
            return f"not run: {self.reason}"
        test = RUN_BY.get((self.page, self.kind), RUN_BY.get(("*", self.kind)))
        if test is not None:
            return f"run: {test}"
        if self.kind == "mermaid":
            return "not run: a drawing"
        if self.kind == "text" and not self.commands:
            return "not run: output, or a form to fill in"
        return None


def blocks_of(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page: fenced ones at any depth, and indented ones after a blank line."""
    name = page.relative_to(ROOT).as_posix()
    lines = page.read_text(encoding="utf-8").splitlines()
    number, reason = 0, None
    while number < len(lines):
        line = lines[number]
        fence = re.match(r"^( *)(```+)([\w-]*)(?: title=\"([^\"]+)\")?", line)
        if fence is not None:
            end = next(n for n in range(number + 1, len(lines)) if lines[n].strip() == fence[2])
            text = "".join(f"{inner[len(fence[1]) :]}\n" for inner in lines[number + 1 : end])
            yield Block(name, number + 2, fence[3] or "text", fence[4] or "", text, reason)
            number, reason = end + 1, None
            continue
        if line.startswith("    ") and begins_a_block(lines, number):
            end = number
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            text = "".join(f"{inner[4:]}\n" for inner in lines[number:end]).rstrip() + "\n"
            yield Block(name, number + 1, "indented", "", text, reason)
            number, reason = end, None
            continue
        marker = MARKER.fullmatch(line.strip())
        if line.strip():
            reason = marker[1] if marker else None
        number += 1


def begins_a_block(lines: list[str], number: int) -> bool:
    """Say whether an indented line is code: after a blank line, and not the rest of a list item or of a note."""
    if number and lines[number - 1].strip():
        return False
    above = next((line for line in reversed(lines[:number]) if line.strip() and not line.startswith(" ")), "")
    return not re.match(r"[-*] |\d+\. |\?\?\? |!!! |=== ", above)


def all_blocks() -> list[Block]:
    """Return the blocks of all pages, in their order."""
    return [block for page in PAGES for block in blocks_of(page)]
