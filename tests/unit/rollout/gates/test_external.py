# SPDX-License-Identifier: Apache-2.0
"""Gates that ask a command, a URL or a Prometheus server: one that does not answer never passes."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import sys
import threading
import time
import urllib.parse

import pytest

from support.live import until
from tfs_deploy.host.processes import start_time
from tfs_deploy.rollout import Verdict, WindowSummary
from tfs_deploy.rollout.controller.hooks import RolloutHooks
from tfs_deploy.rollout.controller.judgement import _ask
from tfs_deploy.rollout.gates.conditions import Condition
from tfs_deploy.rollout.gates.external import CommandGate, PrometheusGate, UrlGate
from tfs_deploy.rollout.gates.gate import StepView
from tfs_deploy.rollout.machine.hook import RolloutHook

PASS, FAIL, FEW = Verdict.PASS, Verdict.FAIL, Verdict.TOO_FEW
STEP = StepView("digits", 2, "canary", 5.0, WindowSummary(50, 1), WindowSummary(950), WindowSummary(950), seconds=12.3)


class Web:
    """An HTTP server that answers with what the test sets."""

    def __init__(self) -> None:
        self.status, self.body = 200, "{}"
        self.asked: list[str] = []
        self.posted: list[object] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                length = int(self.headers.get("Content-Length", 0))
                if length:
                    outer.posted.append(json.loads(self.rfile.read(length)))
                body = outer.body.encode()
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def web():
    web = Web()
    yield web
    web.close()


def answering(*parts: bytes, pause: float = 0.0):
    """Listen on a port, and answer everybody with ``parts``, one after the other."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(4096)
                    for part in parts:
                        connection.sendall(part)
                        if stop.wait(pause):
                            return

    listener, stop = socket.create_server(("127.0.0.1", 0)), threading.Event()
    thread = threading.Thread(target=serve)
    thread.start()

    @contextlib.contextmanager
    def listening():
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stop.set()
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join()

    return listening()


@pytest.mark.parametrize(
    "parts",
    [
        [b"no HTTP at all\r\n\r\n"],
        [b""],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n{}"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
        [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"],
        [b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000],
        [b'HTTP/1.1 200 OK\r\n\r\n{"status": "success", "data": {"resultType": "vector", "result": 7}}'],
    ],
    ids=lambda parts: parts[0][:40].decode(),
)
def test_a_server_that_talks_nonsense_never_passes_and_a_hook_that_asks_it_objects_in_a_line(parts):
    with answering(*parts) as url:
        verdict = _ask(PrometheusGate(url, Condition.parse("up < 1"), timeout=2.0), STEP)
        objection = RolloutHooks([RolloutHook.parse(f"before:load={url}")], []).run("before", "load", {})
    assert verdict.verdict is FEW, verdict
    assert "\n" not in verdict.reason
    if b" 200 OK" not in parts[0]:
        assert objection.startswith(f"the hook before load failed: {url} ")


def test_a_server_that_trickles_is_not_waited_for():
    with answering(*[b"HTTP/1.1 200 OK\r\n"], *[b"X: y\r\n"] * 600, pause=0.1) as url:
        began = time.monotonic()
        verdict = UrlGate(url, Condition.parse("$.x < 1"), timeout=0.5).judge(STEP)
        assert (verdict.verdict, verdict.reason) == (FEW, f"{url} did not answer within 0.5 s")
        assert time.monotonic() - began < 30


def python(code: str) -> str:
    return f"{sys.executable} -c '{code}'"


@pytest.mark.parametrize(
    ("code", "verdict", "reason"),
    [
        ("print(1)", PASS, "1"),
        ("raise SystemExit(1)", FAIL, "exit code 1"),
        ('import sys; sys.stderr.write("revenue is down\\n\\n"); sys.exit(3)', FAIL, "revenue is down"),
        ('print("not yet"); raise SystemExit(75)', FEW, "not yet"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", FAIL, "exit code -9"),
    ],
)
def test_the_exit_code_of_a_command_decides(code, verdict, reason):
    judged = CommandGate(python(code)).judge(STEP)

    assert (judged.verdict, judged.reason) == (verdict, reason)


def test_a_command_gets_the_step_as_json_as_words_and_as_variables():
    code = (
        "import json, os, sys; step = json.load(sys.stdin); "
        'print(step["windows"]["canary"]["errors"], sys.argv[1:], os.environ["TFS_DEPLOY_LABEL"])'
    )

    judged = CommandGate(f"{python(code)} $model $version ${{percent}}% $unknown").judge(STEP)

    assert judged.reason == "1 ['digits', '2', '5%', '$unknown'] canary"


@pytest.mark.parametrize(
    ("printed", "verdict", "reason"),
    [
        ('{"ctr": 0.2}', PASS, "0.2 >= 0.1"),
        ('{"ctr": 0.05}', FAIL, "0.05 is not >= 0.1"),
        ('{"other": 1}', FEW, "the document has nothing at $.ctr"),
        ("no json", FEW, "the command did not print JSON"),
    ],
)
def test_a_number_that_a_command_prints_decides(printed, verdict, reason):
    gate = CommandGate(f"echo '{printed}'", Condition.parse("$.ctr >= 0.1"))

    judged = gate.judge(STEP)

    assert (judged.verdict, judged.reason) == (verdict, reason)


def test_a_command_that_is_not_there_or_does_not_end_is_too_few_samples(tmp_path):
    assert CommandGate("/no/such/command").judge(STEP).verdict is FEW
    script = tmp_path / "slow"
    script.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {tmp_path}/child\nwait\n")
    script.chmod(0o755)

    # long enough for the shell to start its child
    slow = CommandGate(str(script), timeout=2.0).judge(STEP)

    assert (slow.verdict, slow.reason) == (FEW, f"{script} did not end within 2 s")
    child = int((tmp_path / "child").read_text())
    until(lambda: start_time(child) is None)  # nor is anything left of it, once its parent has looked


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, '{"data": [{"ctr": 0.2}]}', PASS),
        (200, '{"data": [{"ctr": "0.2"}]}', PASS),
        (200, '{"data": [{"ctr": 0.01}]}', FAIL),
        (200, '{"data": [{"ctr": null}]}', FEW),
        (200, '{"data": [{"ctr": true}]}', FEW),
        (200, '{"data": [{"ctr": "NaN"}]}', FEW),
        (200, '{"data": []}', FEW),
        (200, "<html>", FEW),
        (404, "{}", FEW),
        (503, '{"data": [{"ctr": 0.2}]}', FEW),
    ],
)
def test_a_number_behind_a_url_decides(web, status, body, verdict):
    web.status, web.body = status, body
    gate = UrlGate(web.url + "/kpi?model=$model&percent=$percent", Condition.parse("$.data[0].ctr >= 0.1"))

    assert gate.judge(STEP).verdict is verdict
    assert web.asked == ["/kpi?model=digits&percent=5"]


def test_nobody_at_a_url_is_too_few_samples_and_no_password_is_shown(free_port):
    gate = UrlGate(f"http://user:secret@127.0.0.1:{free_port}/kpi?token=secret", Condition.parse("$.x > 1"))

    judged = gate.judge(STEP)

    assert judged.verdict is FEW
    assert judged.reason.startswith(f"http://127.0.0.1:{free_port}/kpi cannot be read: ")
    assert "secret" not in judged.reason


def vector(*values: str) -> str:
    series = [{"metric": {}, "value": [1.0, value]} for value in values]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": series}})


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (vector("0.001"), PASS),
        (vector("0.001", "0.02"), FAIL),
        (vector("0.001", "NaN"), FEW),
        (vector("NaN", "0.02"), FAIL),
        (vector("NaN"), FEW),
        (vector(), FEW),
        ('{"status": "success", "data": {"resultType": "scalar", "result": [1.0, "0.5"]}}', FAIL),
        ('{"status": "error", "error": "parse error"}', FEW),
        ('{"data": 1}', FEW),
        ("[]", FEW),
    ],
)
def test_every_series_of_a_query_is_compared(web, body, verdict):
    web.body = body
    gate = PrometheusGate(web.url + "/", Condition.parse('rate(errors{version="$version"}[$window]) < 0.01'))

    assert gate.judge(STEP).verdict is verdict
    assert urllib.parse.unquote_plus(web.asked[0]) == '/api/v1/query?query=rate(errors{version="2"}[13s])'
