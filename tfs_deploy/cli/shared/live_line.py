"""The last line of a terminal, replaced again and again while a rollout waits; nothing elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output
    from tfs_deploy.rollout.progress import RolloutProgress

_ERASE: Final = "\r\x1b[2K"


class LiveLine:
    """Shows one text at a time on standard error; ``clear`` before anything else is printed there."""

    def __init__(self, output: Output) -> None:
        moves = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._shows = moves and not output.quiet and not output.as_json
        self._text = ""

    def show(self, text: str) -> None:
        """Replace the line, cut to the terminal's width."""
        text = text[: shutil.get_terminal_size().columns - 1]
        if self._shows and text != self._text:
            sys.stderr.write(f"{_ERASE}{text}")
            sys.stderr.flush()
            self._text = text

    def clear(self) -> None:
        """Remove the line."""
        if self._text:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
            self._text = ""


def progress_text(at: RolloutProgress) -> str:
    """Return a rollout's progress in one line: step, percent, requests and errors, time left."""
    if at.left is None:
        return at.why
    canary, total = at.canary, at.canary + at.others
    seen = "no request yet"
    if total.requests:
        seen = f"canary {canary.requests:,} requests, {canary.errors:,} failed"
        seen += f"; all {total.requests:,}, {total.errors:,} failed"
    left = f"{at.left:.0f} s left" if at.left else "waiting for samples"
    return f"step {at.step} of {at.steps}, {at.weight:g} %: {seen}; {left}"
