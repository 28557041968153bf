"""Nothing that reads bytes of others may take worse than linear time: inputs are doubled, and the growth is fitted."""

from __future__ import annotations

import contextlib
import gc
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfs_deploy import codec, protos
from tfs_deploy.client.rest.reply_bytes import ReplyBytes
from tfs_deploy.codec.json import client as client_json
from tfs_deploy.codec.json.server_request import parse_body
from tfs_deploy.codec.wire import delimited, varint
from tfs_deploy.deployment.file.yaml_reader import read_yaml
from tfs_deploy.errors import ModelError, TfsDeployError
from tfs_deploy.host.http_replies import reply_text
from tfs_deploy.protos.text_format import parse_message
from tfs_deploy.savedmodel.formats.snappy import uncompress
from tfs_deploy.savedmodel.formats.wire import WireError
from tfs_deploy.savedmodel.inspect import inspect_model
from tfs_deploy.server.models.config_checks import check_models
from tfs_deploy.text import one_line, visible

#: log2 of time by log2 of size: 1 is linear, 2 quadratic
STEEPEST = 1.5
#: seconds that the largest input may take before the fit is looked at
QUICK = 0.01


def tensor(count: int) -> bytes:
    shape = delimited(b"\x12", delimited(b"\x12", b"\x08" + varint(count)))
    return b"\x08\x01" + shape + delimited(b"\x2a", bytes(4 * count))


def request(*tensors: bytes) -> bytes:
    named = (
        delimited(b"\x12", delimited(b"\x0a", b"x%d" % number) + delimited(b"\x12", each))
        for number, each in enumerate(tensors)
    )
    return delimited(b"\x0a", b"\x0a\x01m") + b"".join(named)


def models(count: int) -> str:
    entry = 'config {{ name: "m{0}" base_path: "/m/{0}" model_platform: "tensorflow" }}\n'
    return "model_config_list {\n" + "".join(entry.format(number) for number in range(count)) + "}\n"


def check_config(text: str) -> None:
    config = parse_message(text, protos.ModelServerConfig(), source="f")
    check_models(config.model_config_list.config)


#: what is read -> the size to begin with, what makes an input of a size, what reads it
READERS: dict[str, tuple[int, Callable[[int], Any], Callable[[Any], Any]]] = {
    "wire: inputs": (1000, lambda n: request(*[tensor(1)] * n), codec.decode_predict_request),
    "wire: one name for all": (
        1000,
        lambda n: b"".join([request(tensor(1))] * n),
        codec.decode_predict_request,
    ),
    "wire: packed floats": (2**16, lambda n: request(tensor(n)), codec.decode_predict_request),
    "wire: floats one by one": (
        2000,
        lambda n: request(b"\x08\x01" + b"\x2d\x00\x00\x80\x3f" * n),
        codec.decode_predict_request,
    ),
    "wire: texts": (2000, lambda n: request(b"\x08\x07" + delimited(b"\x42", b"ab") * n), codec.decode_predict_request),
    "wire: shapes": (
        2000,
        lambda n: request(b"\x08\x01" + delimited(b"\x12", delimited(b"\x12", b"\x08\x01")) * n),
        codec.decode_predict_request,
    ),
    "wire: unknown fields": (4000, lambda n: request(tensor(1)) + b"\xf8\x07\x01" * n, codec.decode_predict_request),
    "wire: groups": (4000, lambda n: b"\xfb\x07" * n, codec.decode_predict_request),
    "wire: a varint without end": (4000, lambda n: b"\x80" * n, codec.decode_predict_request),
    "wire: a reply": (
        1000,
        lambda n: b"".join([delimited(b"\x0a", b"\x0a\x01y" + delimited(b"\x12", tensor(1)))] * n),
        codec.decode_predict_response,
    ),
    "JSON: a body": (2000, lambda n: b'{"instances": [' + b"1.5, " * n + b"1]}", parse_body),
    "JSON: brackets": (2000, lambda n: b"[" * n, parse_body),
    "JSON: objects": (2000, lambda n: b'{"instances":' * n, parse_body),
    "JSON: names": (1000, lambda n: b"{" + b",".join(b'"%d": 1' % i for i in range(n)) + b"}", parse_body),
    "JSON: one name for all": (1000, lambda n: b"{" + b'"instances": 1, ' * n + b"}", parse_body),
    "JSON: surrogates": (2000, lambda n: b'{"instances": ["' + b"\\ud800" * n + b'"]}', parse_body),
    "JSON: a long number": (2000, lambda n: b'{"instances": [' + b"1" * n + b"]}", parse_body),
    "JSON: a text without end": (4000, lambda n: b'{"instances": ["' + b"\\\\" * n, parse_body),
    "JSON: a reply": (2000, lambda n: b'{"outputs": ' + b"[" * n + b"]" * n + b"}", client_json.parse_json),
    "snappy: literals": (2000, lambda n: varint(n) + b"\x00a" * n, uncompress),
    "snappy: copies": (2000, lambda n: varint(64 * n + 1) + b"\x00a" + b"\xfe\x01\x00" * n, uncompress),
    "snappy: a size that is not there": (2000, lambda n: varint(2**31) + b"\x00a" * n, uncompress),
    "text format: models": (500, models, check_config),
    "text format: braces": (2000, lambda n: "model_config_list {" * n, check_config),
    "text format: comments": (2000, lambda n: "#\n" * n, check_config),
    "text format: one text": (2000, lambda n: "model_config_list { config { name: " + '"a"' * n + "} }", check_config),
    "YAML: aliases": (500, lambda n: "a: &a [1]\nb: [" + "*a, " * n + "]\n", read_yaml),
    "YAML: a long list in aliases": (200, lambda n: f"a: &a [{'1, ' * n}]\nb: [{'*a, ' * n}]\n", read_yaml),
    "YAML: aliases of aliases": (
        100,
        lambda n: "a0: &a0 1\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(n)),
        read_yaml,
    ),
    "YAML: merges": (500, lambda n: "a: &a {b: 1}\n" + "".join(f"k{i}: {{<<: *a}}\n" for i in range(n)), read_yaml),
    "YAML: keys": (1000, lambda n: "".join(f"k{i}: 1\n" for i in range(n)), read_yaml),
    "YAML: one key for all": (1000, lambda n: "k: 1\n" * n, read_yaml),
    "YAML: brackets": (1000, lambda n: "[" * n, read_yaml),
    "YAML: a quote without end": (4000, lambda n: '"' + "a\n" * n, read_yaml),
    "YAML: variables": (1000, lambda n: "a: " + "${" * n + "\n", read_yaml),
    "HTTP: an error page": (4000, lambda n: b"<head>" * n, reply_text),
    "HTTP: a tag without end": (4000, lambda n: b"<" * n, reply_text),
    "HTTP: pieces of a reply": (1000, lambda n: [b"a"] * n, lambda parts: [*map(ReplyBytes("", 2**30).feed, parts)]),
    "texts: one line": (4000, lambda n: " \n" * n, one_line),
    "texts: control characters": (4000, lambda n: "\x1b" * n, visible),
}


def seconds(read: Callable[[Any], Any], data: Any) -> float:
    """Return the least processor time of three."""
    took = []
    for _ in range(3):
        begun = time.process_time()
        with contextlib.suppress(TfsDeployError, WireError):
            read(data)
        took.append(time.process_time() - begun)
    return min(took)


def steepness(size: int, make: Callable[[int], Any], read: Callable[[Any], Any]) -> float:
    """Return the exponent of the growth; sizes are doubled until one of them takes time that can be measured."""
    gc.collect()
    times: list[float] = []
    while len(times) < 4 or times[-4] < QUICK / 8:
        times.append(seconds(read, make(size)))
        size *= 2
        if len(times) == 7:
            break
    return math.log2(max(times[-1], 1e-9) / max(times[-4], QUICK / 8)) / 3


@pytest.mark.parametrize("name", READERS)
def test_time_grows_with_the_bytes(name: str) -> None:
    size, make, read = READERS[name]
    # a machine with other work makes a measurement worse now and then, but not three in a row
    found = [steepness(size, make, read)]
    while found[-1] > STEEPEST and len(found) < 3:
        found.append(steepness(size, make, read))
    assert min(found) <= STEEPEST, f"{name}: {found}"


def test_two_megabytes_of_empty_meta_graphs(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"\x08\x01" + b"\x12\x00" * 2**20)
    with pytest.raises(ModelError, match="more than 1000 meta graphs"):
        inspect_model(tmp_path / "1")
