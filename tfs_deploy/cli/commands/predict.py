# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy predict``: one request to a served model."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.line import deployed
from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.line.words import paths
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import CONNECTION, all_of, client_options, common
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from tfs_deploy.cli.shared.output import Output
    from tfs_deploy.client import Client, PredictReply, RestClient
    from tfs_deploy.client.options import Options


@click.command(
    name="predict",
    cls=Command,
    examples=(
        "tfs-deploy predict localhost:8500 digits -i image=@digit.npy --label stable",
        "tfs-deploy predict localhost:8501 digits -i image=@digit.json --rest --json",
    ),
)
@click.argument("address", shell_complete=deployed.address)
@click.argument("model", shell_complete=deployed.model)
@option(
    "--input",
    "-i",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE",
    help="Input: JSON or text, @FILE.npy, @FILE.json, or the bytes of any other @FILE; @FILE.npz holds all inputs. "
    "@FILE alone is the only input.",
)
@option("--signature", "-s", metavar="NAME", help=f"Signature to run.  [default: {DEFAULT_SIGNATURE}]")
@option("--label", metavar="LABEL", shell_complete=deployed.label, help="Label of the version to call.")
@option("--version", type=int, metavar="N", shell_complete=deployed.version, help="Number of the version to call.")
@option(
    "--filter",
    "output_filter",
    multiple=True,
    metavar="NAME",
    help="Output to return; may be repeated.  [default: all]",
)
@option("--rest", is_flag=True, help="Use the REST API; the port of ADDRESS is then usually 8501.")
@option(
    "--output",
    "-o",
    "form",
    default="table",
    metavar="FORM",
    shell_complete=paths(".npz", words=("table", "json")),
    help="Output format: table, json or the path of an .npz file.",
)
@option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Timeout per request, in seconds.",
)
@all_of(CONNECTION)
@common
def command(
    output: Output,
    address: str,
    model: str,
    *,
    inputs: tuple[str, ...],
    signature: str | None,
    label: str | None,
    version: int | None,
    output_filter: tuple[str, ...],
    rest: bool,
    form: str,
    timeout: float,
    **connection: Any,
) -> None:
    """Send one request to a served model.

    Use it to try a model by hand. ADDRESS is the HOST:PORT of any TensorFlow Serving, MODEL the name of the model
    there.
    """
    from tfs_deploy.cli.shared.input_values import read_inputs
    from tfs_deploy.cli.shared.output_values import archive_path, write_archive
    from tfs_deploy.client.core.input_check import find_signature

    archive = archive_path(form)
    options = client_options(**connection)
    options["timeout"] = timeout
    with _client(address, rest=rest, **options) as client:
        metadata = client.metadata(model, label=label, version=version)
        info = find_signature(metadata.signatures, signature or DEFAULT_SIGNATURE, model)
        values = read_inputs(inputs, info.inputs)
        started = time.perf_counter()
        reply = client.predict(
            model, values, signature=signature, label=label, version=version, output_filter=output_filter
        )
        seconds = time.perf_counter() - started
    document = _document(reply, seconds, rest=rest)
    if archive is not None:
        write_archive(archive, reply)
        document["file"] = str(archive)
    output.as_json = output.as_json or form == "json"
    output.result(document, _table(reply, document))


def _client(address: str, *, rest: bool, **options: Unpack[Options]) -> Client | RestClient:
    from tfs_deploy.client import Client, RestClient

    return RestClient(address, **options) if rest else Client(address, **options)


def _document(reply: PredictReply, seconds: float, *, rest: bool) -> dict[str, Any]:
    from tfs_deploy.cli.shared.output_values import outputs_document

    return {
        "model": reply.model,
        "version": reply.version,
        "signature": reply.signature,
        "transport": "rest" if rest else "grpc",
        "milliseconds": round(seconds * 1000, 3),
        "outputs": outputs_document(reply),
    }


def _table(reply: PredictReply, document: dict[str, Any]) -> str:
    from tfs_deploy.cli.shared.output_values import outputs_lines

    version = "" if reply.version is None else f" version {reply.version}"
    lines = [f"{reply.model}{version}, {reply.signature} ({document['transport']}, {document['milliseconds']:.1f} ms)"]
    lines += outputs_lines(reply)
    if "file" in document:
        lines.append(f"\nwritten to {document['file']}")
    return "\n".join(lines)
