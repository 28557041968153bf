# SPDX-License-Identifier: Apache-2.0
"""Reference pages that are written by hand say what the code says: errors, exit codes, metrics."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tfs_deploy import errors
from tfs_deploy.client.call import status_errors
from tfs_deploy.server.metrics import Counter, Histogram, ServerMetrics

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from error_messages import as_markdown, messages  # noqa: E402 - a script's module

ERRORS = (ROOT / "docs/reference/errors.md").read_text()
METRICS = (ROOT / "docs/reference/metrics.md").read_text()
CODES = (ROOT / "docs/reference/exit-codes.md").read_text()


def rows(page: str) -> dict[str, list[str]]:
    """Return the cells of every row whose first cell is code, by that code."""
    lines = re.findall(r"^\| `([^`]+)` \|(.*)\|$", page, re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split(" |")] for name, rest in lines}


def classes(base: type[errors.TfsDeployError]) -> list[type[errors.TfsDeployError]]:
    return [base, *(found for child in base.__subclasses__() for found in classes(child))]


def of_the_tree() -> list[type[errors.TfsDeployError]]:
    return [kind for kind in classes(errors.TfsDeployError) if kind.__module__ == errors.__name__]


def test_every_error_is_listed_with_its_exit_code_and_whether_to_retry():
    table = rows(ERRORS)
    listed = {kind.__name__: kind for kind in of_the_tree() if kind is not errors.StatusError}
    assert set(table) == set(listed)
    for name, kind in listed.items():
        cells = table[name]
        if issubclass(kind, errors.StatusError):
            assert cells.pop(0) == f"{kind.code.name} {kind.code.value}", name
        assert cells[:2] == [str(kind.exit_code), "yes" if kind.retriable else "no"], name


def test_every_text_of_the_server_with_a_hint_is_listed():
    said = re.findall(r"^\| ([A-Zw][^|]+?) \|", ERRORS.partition("## What the server says")[2], re.MULTILINE)
    assert {text for text, _ in status_errors._HINTS} <= set(said)


def test_every_exit_code_is_listed():
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", CODES, re.MULTILINE)}
    assert listed == {0, 130, *(kind.exit_code for kind in of_the_tree())}


def test_every_metric_of_the_server_is_listed_with_its_kind_and_labels():
    table = rows(METRICS)
    counted = {
        metric.name: metric for metric in vars(ServerMetrics()).values() if isinstance(metric, Counter | Histogram)
    }
    assert {name for name in table if name.startswith(":")} == set(counted)
    for name, metric in counted.items():
        kind, labels = table[name][:2]
        assert kind.partition(",")[0] == metric.kind, name
        assert re.findall(r"`(\w+)`", labels) == list(metric._labels), name


def test_every_metric_of_the_client_is_listed():
    source = (ROOT / "tfs_deploy/client/hooks/prometheus.py").read_text()
    documented = set(re.findall(r"``(tfs_client_\w+)``", source))
    assert {name for name in rows(METRICS) if name.startswith("tfs_client")} == documented


def test_the_messages_are_those_of_the_source():
    found = {(message.text, message.error): message.hint for message in messages()}
    assert len(found) > 300
    assert found["no answer within SECONDS s", "DeadlineExceededError"] == "give a longer timeout"
    assert ("a request names a version or a label, not both", "RequestError") in found


def test_a_message_is_not_read_as_markdown(tmp_path):
    (tmp_path / "cli").mkdir()
    source = 'def f(a):\n    raise UsageError(f"{a.name} has no <b> | *x*", hint="x" if a else "try `y`")\n'
    (tmp_path / "cli/x.py").write_text(source)
    lines = as_markdown(messages(tmp_path)).splitlines()
    assert lines[0] == "### Commands"
    assert lines[4:6] == [
        r"| NAME has no \<b\> \| \*x\* | try \`y\` | `UsageError` |",
        r"| NAME has no \<b\> \| \*x\* | x | `UsageError` |",
    ]
