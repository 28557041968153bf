# SPDX-License-Identifier: Apache-2.0
"""Versions in a store as arguments of commands that read a directory: pulled for as long as the command runs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from tfs_deploy.deployment.address import is_remote, parse_address
from tfs_deploy.savedmodel.versions import version_number
from tfs_deploy.text import size_text

if TYPE_CHECKING:
    from collections.abc import Callable


class Bar(Protocol):
    """What shows long work (``cli.shared.progress``)."""

    def advance(self, steps: float = 1.0) -> None:
        """Count ``steps`` more of the total."""

    def say(self, text: str) -> None:
        """Replace the description."""


class ModelPath(click.Path):
    """A path of a model, or the address of a place with ``@N`` (default: its newest version), pulled to a directory.

    The directory is removed when the command ends.
    """

    name = "path"

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, of the copy for an address."""
        if ctx is None or ctx.resilient_parsing or not isinstance(value, str) or not is_remote(value):
            return super().convert(value, param, ctx)
        from tfs_deploy.store.places.opened import open_place
        from tfs_deploy.store.places.pull import pull_version

        address = parse_address(value)
        folder = ctx.with_resource(tempfile.TemporaryDirectory(prefix="tfs-deploy-"))
        output: Any = ctx.obj  # the command's ``Output``
        with output.progress(f"pulling {address}") as progress:
            named = version_number(address.name) is None  # a registered model may have a number as its name
            base, report = Path(folder, address.name if named else "model"), moved(progress, "pulling")
            try:
                return pull_version(open_place(address), address.version, base, report=report).path
            except BaseException:
                ctx.close()  # click does not, of a line that cannot be read: copies of other arguments are removed too
                raise


def moved(progress: Bar, doing: str) -> Callable[[int], None]:
    """Return a function that takes bytes, and says how many there were; it is called from several threads."""
    total = 0

    def report(count: int) -> None:
        nonlocal total
        total += count
        progress.advance(count)
        progress.say(f"{doing}: {size_text(total)}")

    return report
