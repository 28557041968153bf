"""``tfs-deploy predict``: one request to a served model."""

from __future__ import annotations

import base64
import math
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from tfs_deploy.cli.options import common
from tfs_deploy.cli.values import read_inputs
from tfs_deploy.client.check import find_signature
from tfs_deploy.errors import EnvironmentFault, UsageError
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE

if TYPE_CHECKING:
    from tfs_deploy.cli.output import Output
    from tfs_deploy.client import Client, PredictReply, RestClient

#: elements of one output that are printed in full
_SHOWN = 200


@click.command()
@click.argument("address")
@click.argument("model")
@click.option(
    "--input",
    "-i",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE",
    help="An input: JSON or text, @FILE.npy, @FILE.json, or any other @FILE as bytes; @FILE.npz gives all inputs.",
)
@click.option("--signature", help=f"The signature to run.  [default: {DEFAULT_SIGNATURE}]")
@click.option("--label", help="Ask the version with this label.")
@click.option("--version", type=int, help="Ask this version.")
@click.option("--filter", "output_filter", multiple=True, metavar="NAME", help="Only this output; may be repeated.")
@click.option("--rest", is_flag=True, help="Use the REST API (ADDRESS is its port, usually 8501).")
@click.option(
    "--output", "-o", "form", default="table", metavar="FORM", help="table, json or the path of an .npz file."
)
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True, help="Seconds."
)
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
) -> None:
    r"""Send one request to MODEL on the server at ADDRESS (HOST:PORT) and print its outputs.

    \b
    tfs-deploy predict localhost:8500 digits -i image=@digit.npy --label stable
    tfs-deploy predict localhost:8501 half_plus_two -i x=[1,2,5] --rest --json
    """
    archive = _archive(form)
    with _client(address, timeout=timeout, rest=rest) as client:
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
        _write(archive, reply)
        document["file"] = str(archive)
    output.as_json = output.as_json or form == "json"
    output.result(document, _table(reply, document))


def _client(address: str, *, timeout: float, rest: bool) -> Client | RestClient:
    from tfs_deploy.client import Client, RestClient

    return RestClient(address, timeout=timeout) if rest else Client(address, timeout=timeout)


def _archive(form: str) -> Path | None:
    if form in ("table", "json"):
        return None
    path = Path(form)
    if path.suffix != ".npz":
        raise UsageError(f"--output {form} is neither table, json nor the path of an .npz file")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"the directory of {path} does not exist", hint=f"mkdir -p {path.parent}")
    return path


def _write(path: Path, reply: PredictReply) -> None:
    """Save the outputs as ``np.savez`` does; strings become fixed-width bytes, which load without pickle."""
    try:
        with zipfile.ZipFile(path, "w") as archive:
            for name, array in reply.items():
                plain = array.astype("S") if array.dtype == object else array
                with archive.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array(file, plain, allow_pickle=False)
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be written: {error.strerror}") from error


def _document(reply: PredictReply, seconds: float, *, rest: bool) -> dict[str, Any]:
    return {
        "model": reply.model,
        "version": reply.version,
        "signature": reply.signature,
        "transport": "rest" if rest else "grpc",
        "milliseconds": round(seconds * 1000, 3),
        "outputs": {
            name: {"dtype": _dtype(array), "shape": list(array.shape), "values": _plain(array.tolist())}
            for name, array in sorted(reply.items())
        },
    }


def _plain(value: Any) -> Any:
    """Make a value that strict JSON has: bytes as text or base64, NaN and infinities as text, complex as a pair."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, complex):
        return [_plain(value.real), _plain(value.imag)]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value if isinstance(value, (bool, int, float, str)) else float(value)


def _dtype(array: Any) -> str:
    return "string" if array.dtype == object else str(array.dtype)


def _table(reply: PredictReply, document: dict[str, Any]) -> str:
    version = "" if reply.version is None else f" version {reply.version}"
    lines = [f"{reply.model}{version}, {reply.signature} ({document['transport']}, {document['milliseconds']:.1f} ms)"]
    for name, array in sorted(reply.items()):
        lines.append(f"\n{name}  {_dtype(array)} {list(array.shape)}")
        with np.printoptions(threshold=_SHOWN, precision=6, suppress=True, linewidth=100):
            lines += [f"  {line}" for line in str(_readable(array)).splitlines()]
    if "file" in document:
        lines.append(f"\nwritten to {document['file']}")
    return "\n".join(lines)


def _readable(array: Any) -> Any:
    """Show bytes that are text as text."""
    if array.dtype != object:
        return array
    flat = np.empty(array.size, object)
    flat[:] = [_plain(item) if isinstance(_plain(item), str) else item for item in array.ravel().tolist()]
    return flat.reshape(array.shape)
