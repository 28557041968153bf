# SPDX-License-Identifier: Apache-2.0
"""Nothing that reads bytes of others may take worse than linear time: inputs grow, and the growth is fitted."""

from __future__ import annotations

import contextlib
import gc
import math
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfs_deploy import codec, protos
from tfs_deploy.client.rest.reply_bytes import ReplyBytes
from tfs_deploy.codec.json import client as client_json
from tfs_deploy.codec.json.pieces import parse_large
from tfs_deploy.codec.json.server_request import parse_body
from tfs_deploy.codec.wire import delimited, varint
from tfs_deploy.deployment.file.yaml_reader import read_yaml
from tfs_deploy.errors import ModelError, TfsDeployError
from tfs_deploy.host.http_replies import reply_text
from tfs_deploy.launch.logs import reason
from tfs_deploy.protos.text_format import parse_message
from tfs_deploy.rollout.gates.metrics_page import Counters
from tfs_deploy.savedmodel.formats.crc32c import masked_crc32c
from tfs_deploy.savedmodel.formats.snappy import uncompress
from tfs_deploy.savedmodel.formats.sstable import read_table
from tfs_deploy.savedmodel.formats.wire import WireError
from tfs_deploy.savedmodel.inspect import inspect_model
from tfs_deploy.server.models.config_checks import check_models
from tfs_deploy.text import one_line, visible

#: log of time by log of size: 1 is linear, 2 quadratic
STEEPEST = 1.5
#: seconds that are taken for the same
SHORTEST = 0.0002


def tensor(count: int) -> bytes:
    shape = delimited(b"\x12", delimited(b"\x12", b"\x08" + varint(count)))
    return b"\x08\x01" + shape + delimited(b"\x2a", bytes(4 * count))


def request(*tensors: bytes) -> bytes:
    named = (
        delimited(b"\x12", delimited(b"\x0a", b"x%d" % number) + delimited(b"\x12", each))
        for number, each in enumerate(tensors)
    )
    return delimited(b"\x0a", b"\x0a\x01m") + b"".join(named)


def log_reason(line: str) -> None:
    reason([line])


def take_apart(data: bytes) -> None:
    parse_large(data, lambda: None)


def models(count: int) -> str:
    entry = 'config {{ name: "m{0}" base_path: "/m/{0}" model_platform: "tensorflow" }}\n'
    return "model_config_list {\n" + "".join(entry.format(number) for number in range(count)) + "}\n"


def check_config(text: str) -> None:
    config = parse_message(text, protos.ModelServerConfig(), source="f")
    check_models(config.model_config_list.config)


def entries_apart(count: int) -> bytes:
    """Return entries of a table that share nothing with the one before."""
    return b"".join(b"\0\x06\x01%06dv" % number for number in range(count))


def entries_alike(count: int) -> bytes:
    """Return entries whose keys are the one before and a letter."""
    return b"".join(varint(number) + b"\x01\x00a" for number in range(count))


def table(entries: bytes) -> bytes:
    """Return a table with one block."""
    found = b""

    def block(content: bytes) -> bytes:
        nonlocal found
        handle = varint(len(found)) + varint(len(content) + 4)
        found += (data := content + b"\0\0\0\0" + b"\0") + struct.pack("<I", masked_crc32c(data))
        return handle

    of_all = block(b"") + block(b"\0\x01" + varint(len(at := block(entries))) + b"z" + at)
    return found + of_all.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


#: what is read -> the largest size, what makes an input of a size, what reads it
READERS: dict[str, tuple[int, Callable[[int], Any], Callable[[Any], Any]]] = {
    "wire: inputs": (2000, lambda n: request(*[tensor(1)] * n), codec.decode_predict_request),
    "wire: one name for all": (
        2000,
        lambda n: b"".join([request(tensor(1))] * n),
        codec.decode_predict_request,
    ),
    "wire: packed floats": (2**20, lambda n: request(tensor(n)), codec.decode_predict_request),
    "wire: floats one by one": (
        16000,
        lambda n: request(b"\x08\x01" + b"\x2d\x00\x00\x80\x3f" * n),
        codec.decode_predict_request,
    ),
    "wire: texts": (
        16000,
        lambda n: request(b"\x08\x07" + delimited(b"\x42", b"ab") * n),
        codec.decode_predict_request,
    ),
    "wire: shapes": (
        8000,
        lambda n: request(b"\x08\x01" + delimited(b"\x12", delimited(b"\x12", b"\x08\x01")) * n),
        codec.decode_predict_request,
    ),
    "wire: unknown fields": (16000, lambda n: request(tensor(1)) + b"\xf8\x07\x01" * n, codec.decode_predict_request),
    "wire: groups": (64000, lambda n: b"\xfb\x07" * n, codec.decode_predict_request),
    "wire: a varint without end": (64000, lambda n: b"\x80" * n, codec.decode_predict_request),
    "wire: a reply": (
        2000,
        lambda n: b"".join([delimited(b"\x0a", b"\x0a\x01y" + delimited(b"\x12", tensor(1)))] * n),
        codec.decode_predict_response,
    ),
    "metrics page: a name without a value": (
        64000,
        lambda n: ":tensorflow:serving:request_count{" + "a" * n + "} 1",
        lambda page: Counters.read(page, "m"),
    ),
    "log: reasons without an end": (3200, lambda n: "{name: a version: 1} due to error: " * n, log_reason),
    "JSON: a large body": (1 << 20, lambda n: b'{"instances": [' + b"[]," * n + b"1]}", take_apart),
    "JSON: a long text": (1 << 21, lambda n: b'{"instances": ["' + rb"\"" * n + b'"]}', take_apart),
    "JSON: large lists in lists": (1 << 18, lambda n: b'{"z":' + b"[" * 99 + b"[[],1]," * n, take_apart),
    "JSON: a body": (128000, lambda n: b'{"instances": [' + b"1.5, " * n + b"1]}", parse_body),
    "JSON: brackets": (128000, lambda n: b"[" * n, parse_body),
    "JSON: objects": (64000, lambda n: b'{"instances":' * n, parse_body),
    "JSON: names": (64000, lambda n: b"{" + b",".join(b'"%d": 1' % i for i in range(n)) + b"}", parse_body),
    "JSON: one name for all": (4000, lambda n: b"{" + b'"instances": 1, ' * n + b"}", parse_body),
    "JSON: surrogates": (128000, lambda n: b'{"instances": ["' + b"\\ud800" * n + b'"]}', parse_body),
    "JSON: a long number": (8000, lambda n: b'{"instances": [' + b"1" * n + b"]}", parse_body),
    "JSON: a text without end": (16000, lambda n: b'{"instances": ["' + b"\\\\" * n, parse_body),
    "JSON: a reply": (64000, lambda n: b'{"outputs": ' + b"[" * n + b"]" * n + b"}", client_json.parse_json),
    "snappy: literals": (32000, lambda n: varint(n) + b"\x00a" * n, uncompress),
    "snappy: copies": (8000, lambda n: varint(64 * n + 1) + b"\x00a" + b"\xfe\x01\x00" * n, uncompress),
    "snappy: a size that is not there": (64000, lambda n: varint(2**31) + b"\x00a" * n, uncompress),
    "text format: models": (512, models, check_config),
    "text format: braces": (64000, lambda n: "model_config_list {" * n, check_config),
    "text format: comments": (16000, lambda n: "#\n" * n, check_config),
    "text format: one text": (4000, lambda n: "model_config_list { config { name: " + '"a"' * n + "} }", check_config),
    "YAML: aliases": (4000, lambda n: "a: &a [1]\nb: [" + "*a, " * n + "]\n", read_yaml),
    "YAML: a long list in aliases": (8000, lambda n: f"a: &a [{'1, ' * n}]\nb: [{'*a, ' * n}]\n", read_yaml),
    "YAML: aliases of aliases": (
        1600,
        lambda n: "a0: &a0 1\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(n)),
        read_yaml,
    ),
    "YAML: merges": (1000, lambda n: "a: &a {b: 1}\n" + "".join(f"k{i}: {{<<: *a}}\n" for i in range(n)), read_yaml),
    "YAML: keys": (2000, lambda n: "".join(f"k{i}: 1\n" for i in range(n)), read_yaml),
    "YAML: one key for all": (2000, lambda n: "k: 1\n" * n, read_yaml),
    "YAML: brackets": (16000, lambda n: "[" * n, read_yaml),
    "YAML: a quote without end": (4000, lambda n: '"' + "a\n" * n, read_yaml),
    "YAML: variables": (32000, lambda n: "a: " + "${" * n + "\n", read_yaml),
    "HTTP: an error page": (2048, lambda n: b"<head>" * n, reply_text),
    "HTTP: a tag without end": (16000, lambda n: b"<" * n, reply_text),
    "HTTP: pieces of a reply": (16000, lambda n: [b"a"] * n, lambda parts: [*map(ReplyBytes("", 2**30).feed, parts)]),
    "texts: one line": (256000, lambda n: " \n" * n, one_line),
    "texts: control characters": (32000, lambda n: "\x1b" * n, visible),
}


def seconds(read: Callable[[Any], Any], data: Any) -> float:
    """Return the processor time of one reading, without the garbage collector: it looks at all that tests left."""
    gc.disable()
    begun = time.process_time()
    with contextlib.suppress(TfsDeployError, WireError):
        read(data)
    taken = time.process_time() - begun
    gc.enable()
    return taken


def steepness(most: int, make: Callable[[int], Any], read: Callable[[Any], Any]) -> float:
    """Return the exponent of the growth where it is steepest; inputs are made four times larger twice.

    A machine with other work makes a measurement worse now and then: what looks steep is measured again.
    """
    inputs = [make(size) for size in (most // 16, most // 4, most)]
    gc.collect()
    times = [math.inf] * 3
    for _ in range(12):
        times = [min(before, seconds(read, data)) for before, data in zip(times, inputs, strict=True)]
        taken = [max(each, SHORTEST) for each in times]
        exponent = max(math.log(taken[1] / taken[0], 4), math.log(taken[2] / taken[1], 4))
        if exponent <= STEEPEST:
            break
    return exponent


@pytest.mark.parametrize("name", READERS)
def test_time_grows_with_the_bytes(name: str) -> None:
    most, make, read = READERS[name]
    assert steepness(most, make, read) <= STEEPEST


@pytest.mark.parametrize("limit", [1024, 300])
def test_quadratic_time_is_found(limit: int) -> None:
    """It is found also where larger inputs are refused."""

    def read(data: bytes) -> int:
        return sum(a == b for a in data for b in data) if len(data) <= limit else 0

    assert steepness(1024, bytes, read) > STEEPEST


@pytest.mark.parametrize("entries", [entries_apart, entries_alike])
def test_the_time_of_tables_grows_with_the_bytes(entries: Callable[[int], bytes], tmp_path: Path) -> None:
    def make(size: int) -> Path:
        path = tmp_path / f"{size}"
        path.write_bytes(table(entries(size)))
        return path

    assert steepness(16000, make, lambda path: [*read_table(path)]) <= STEEPEST


def test_keys_that_share_all_with_the_one_before_are_refused(tmp_path: Path) -> None:
    """Four bytes of a file would make a key of any length."""
    (tmp_path / "t").write_bytes(table(entries_alike(2000)))
    with pytest.raises(WireError, match="the keys of one of its blocks are far longer than the block"):
        list(read_table(tmp_path / "t"))


def test_two_megabytes_of_empty_meta_graphs(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"\x08\x01" + b"\x12\x00" * 2**20)
    with pytest.raises(ModelError, match="more than 1000 meta graphs"):
        inspect_model(tmp_path / "1")
