"""Options that commands share."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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


def all_of(decorators: Iterable[Callable[[Any], Any]]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return one decorator that adds several options, in the order in which ``--help`` lists them."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(tuple(decorators)):
            function = decorator(function)
        return function

    return decorate


def parse_tags(text: str) -> tuple[str, ...]:
    """Return the tags of ``--tags A,B``; no text is the meta graph without tags."""
    return tuple(tag.strip() for tag in text.split(",") if tag.strip())


#: for commands that act on the server of a deployment
ANY_SERVER: Final = click.option(
    "--any-server", is_flag=True, help="Act on whatever server answers on the ports of FILE, not only on its own."
)


def _use_op_libraries(_context: click.Context, _parameter: click.Parameter, paths: tuple[Path, ...]) -> None:
    if paths:
        from tfs_deploy.savedmodel.graph.op_libraries import use_op_libraries

        use_op_libraries(paths)


#: shared libraries with custom ops, for this command and all that it starts
op_libraries_option = click.option(
    "--load-op-library",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE.so",
    expose_value=False,
    callback=_use_op_libraries,
    help="Shared library with custom ops to load first; may be repeated.",
)


#: the deployment file and options of ``up`` and ``restart``
BRING_UP: Final = (
    click.argument("file", type=click.Path(path_type=Path)),
    click.option(
        "--timeout",
        type=click.FloatRange(min=1.0),
        default=120.0,
        show_default=True,
        metavar="SECONDS",
        help="Time to wait for every version to become available, in seconds.",
    ),
    click.option("--allow-latest", is_flag=True, help="Allow mutable image tags."),
    click.option("--ignore-memory", is_flag=True, help="Start even if the models may not fit into memory."),
)
#: how many versions ``export`` and ``publish`` keep, and which they never remove
RETENTION: Final = (
    click.option(
        "--keep",
        type=click.IntRange(min=1),
        metavar="N",
        help="Number of versions to keep; older ones are removed.  [default: all]",
    ),
    click.option(
        "--deployment",
        "deployments",
        multiple=True,
        metavar="FILE",
        help="Deployment file whose versions are never removed; may be repeated.  [default: all files found nearby]",
    ),
)
