"""Options that commands share."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfs_deploy.cli.shared.output import Output

F = TypeVar("F", bound="Callable[..., Any]")


def common(function: F) -> Callable[..., Any]:
    """Add ``--json`` and ``--quiet`` and pass the command its ``Output`` as first argument."""

    @click.option("--json", "_json", is_flag=True, help="Print one JSON document on stdout.")
    @click.option("--quiet", "-q", "_quiet", is_flag=True, help="Print errors only.")
    @click.pass_obj
    @functools.wraps(function)
    def wrapper(output: Output, /, *args: Any, _json: bool, _quiet: bool, **kwargs: Any) -> Any:
        output.as_json = _json
        output.quiet = _quiet
        return function(output, *args, **kwargs)

    return wrapper
