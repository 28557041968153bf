# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy pull``: bring versions out of a store into a base path."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.line import deployed
from tfs_deploy.cli.line.duration import Duration
from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.line.remote import moved
from tfs_deploy.cli.line.words import deployment_file, directory, one_of
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import common
from tfs_deploy.deployment.address import is_remote, parse_address
from tfs_deploy.errors import UsageError
from tfs_deploy.text import counted, size_text

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output
    from tfs_deploy.store.places.follow import Follower, Step
    from tfs_deploy.store.places.pull import Pulled


class _Ended(Exception):  # noqa: N818 - a signal asked for the end, which is no error
    """The process was asked to end while a version was pulled."""


@click.command(
    name="pull",
    cls=Command,
    examples=(
        "tfs-deploy pull s3://models/digits --to models/digits",
        "tfs-deploy pull s3://models/digits --to models/digits --version 7",
        "tfs-deploy pull mlflow:models/digits@champion --to models/digits",
        "tfs-deploy pull digits.yaml",
        "tfs-deploy pull digits.yaml --follow --every 10s --keep 3",
    ),
)
@click.argument("source", metavar="PLACE|FILE", shell_complete=deployment_file)
@option(
    "--to",
    "base_path",
    metavar="BASE",
    shell_complete=directory,
    help="Base path that gets a version of PLACE: the directory of the numbered versions.",
)
@option("--version", type=click.IntRange(min=0), metavar="N", help="Version of PLACE.  [default: the newest]")
@option(
    "--model",
    metavar="NAME",
    shell_complete=deployed.model,
    help="Only this model of FILE.  [default: all that have a store]",
)
@option("--follow", "following", is_flag=True, help="Keep pulling what is new until SIGTERM or Ctrl-C.")
@option(
    "--every",
    type=Duration(),
    default="10s",
    show_default=True,
    metavar="TIME",
    shell_complete=one_of("10s", "1m", "10m"),
    help="With --follow: time between two looks, give or take a fifth; longer after failures.",
)
@option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="Versions to keep in each base path of FILE, beside those that FILE or a rollout names.  [default: all]",
)
@common
def command(
    output: Output,
    source: str,
    *,
    base_path: str | None,
    version: int | None,
    model: str | None,
    following: bool,
    every: float,
    keep: int | None,
) -> int:
    """Bring versions out of a store into a base path.

    Use it where a server starts, or beside it with --follow. PLACE is s3://BUCKET/PREFIX, gs://BUCKET/PREFIX,
    az://CONTAINER/PREFIX, oci://REGISTRY/REPOSITORY or a base path. With a deployment FILE, each model that has a
    `store` gets the versions that its policy serves and its labels name. Every byte is checked, and a version appears
    complete or not at all. With --follow, --json prints one document per line.

    A model of an MLflow registry is mlflow:models/NAME, with /VERSION or @ALIAS.

    Credentials come from the environment: AWS_*, GOOGLE_*, AZURE_* or MLFLOW_* variables, and for a registry of images
    from docker login.
    """
    if not is_remote(source) and Path(source).is_file():
        if base_path is not None or version is not None:
            raise UsageError("--to and --version belong to a PLACE", hint="FILE names base paths and versions itself")
        return _pull_deployment(output, Path(source), model, keep, every if following else None)
    if following or model is not None or keep is not None:
        raise UsageError("--follow, --model and --keep need a deployment FILE", hint="give FILE, or --to BASE alone")
    if not is_remote(source) and Path(source).suffix in (".yaml", ".yml"):
        raise UsageError(f"{source} does not exist", hint="check the path: it looks like a deployment file")
    if base_path is None:
        raise UsageError("--to is missing", hint=f"tfs-deploy pull {source} --to BASE")
    _pull_place(output, source, base_path, version)
    return 0


def _pull_place(output: Output, source: str, base_path: str, version: int | None) -> None:
    from tfs_deploy.store.places.opened import open_place
    from tfs_deploy.store.places.pull import pull_version

    started = time.monotonic()
    address = parse_address(source)
    number = version if address.version is None else require_one(address.version, version)
    with output.progress(f"pulling {address}") as progress:
        pulled = pull_version(open_place(address), number, base_path, report=moved(progress, f"pulling {address}"))
    document = {**_document(pulled), "place": str(address.base), "seconds": round(time.monotonic() - started, 3)}
    output.result(document, _text(pulled))


def require_one(in_address: int, given: int | None) -> int:
    """Return the version of an address; ``UsageError`` if an option names another."""
    if given not in (None, in_address):
        raise UsageError(f"the address names version {in_address}, --version {given}", hint="give one of them")
    return in_address


def _pull_deployment(output: Output, file: Path, model: str | None, keep: int | None, every: float | None) -> int:
    from tfs_deploy.store.places.follow import Follower

    if every is not None:
        return _follow(output, file, model, keep, every)
    started = time.monotonic()
    with output.progress(f"pulling for {file}") as progress:
        follower = Follower(file, model=model, keep=keep, report=moved(progress, f"pulling for {file}"))
        steps = list(follower.poll())
    errors = [step.error for step in steps if step.error is not None]
    if errors:
        raise errors[0]
    document = {"models": [_step(step) for step in steps], "seconds": round(time.monotonic() - started, 3)}
    output.result(document, "\n".join(map(_line, steps)) or "nothing to pull: every version is there")
    return 0


def _follow(output: Output, file: Path, model: str | None, keep: int | None, every: float) -> int:
    from tfs_deploy.host.signals import ending_signals_handled
    from tfs_deploy.store.places.follow import Follower

    ended = threading.Event()

    def report(_: int) -> None:
        if ended.is_set():
            raise _Ended

    follower = Follower(file, model=model, keep=keep, report=report)
    with ending_signals_handled(lambda _number, _frame: ended.set()):
        _poll(output, follower, ended, every)
    return 0


def _poll(output: Output, follower: Follower, ended: threading.Event, every: float) -> None:
    from tfs_deploy.store.places.follow import wait_after

    failures, told = 0, list[str]()
    while not ended.is_set():
        failed: list[str] = []
        try:
            for step in follower.poll():
                if step.error is None or output.as_json:
                    output.line(_step(step), _line(step))
                if step.error is not None:
                    failed.append(_line(step))
                    if failed[-1] not in told and not output.as_json:  # once, not at every look
                        output.warn(failed[-1])
        except _Ended:
            return
        failures, told = (failures + 1 if failed else 0), failed
        ended.wait(wait_after(every, failures))


def _document(pulled: Pulled) -> dict[str, Any]:
    return {
        "path": str(pulled.path),
        "version": pulled.version,
        "bytes": pulled.bytes,
        "files": pulled.files,
        "digest": pulled.digest,
        "pulled": pulled.pulled,
        "retries": pulled.retries,
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "model": step.model,
        "pulled": None if step.pulled is None else _document(step.pulled),
        "pruned": list(step.pruned),
        "error": None if step.error is None else {"message": step.error.message, "hint": step.error.hint},
    }


def _text(pulled: Pulled) -> str:
    if not pulled.pulled:
        return f"{pulled.path}  (there already)"
    again = f", {counted(pulled.retries, 'request')} tried again" if pulled.retries else ""
    return f"{pulled.path}  ({counted(pulled.files, 'file')}, {size_text(pulled.bytes)}{again})"


def _line(step: Step) -> str:
    if step.error is not None:
        return f"{step.model}: {step.error}"
    if step.pulled is not None:
        return f"{step.model}: {_text(step.pulled)}"
    return f"{step.model}: removed {', '.join(map(str, step.pruned))}"
