# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy``, or a server, as a process that starts at once: forked from one that has imported what it needs.

What a start costs and imports is tested elsewhere, with fresh interpreters.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

#: they need TensorFlow, which takes long, or start when they are imported
_LEFT_OUT = ("tfs_deploy.runtime.keras_layer", "tfs_deploy.server.pytest_plugin")


def run_command(
    *arguments: object,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 300.0,
    preload: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run ``tfs-deploy`` with these arguments, as ``subprocess.run`` would; ``preload``: a module it imports anyway."""
    words = [str(argument) for argument in arguments]
    done = run_module("tfs_deploy.cli.entry", words, timeout, cwd=cwd, env=env, preload=preload)
    return subprocess.CompletedProcess(words, done.returncode, done.stdout.decode(), done.stderr.decode())


def run_module(
    module: str,
    arguments: Sequence[str],
    timeout: float,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    preload: str = "",
) -> subprocess.CompletedProcess[bytes]:
    """Run the ``main`` of a module and return its exit code and what it printed."""
    with contextlib.ExitStack() as stack:
        out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        process = ForkedProcess(module, list(arguments), (out, err), cwd=cwd, env=env, preload=preload)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(list(arguments), code, *(_content(each) for each in (out, err)))


def start_server(flags: list[str], log: IO[Any]) -> ForkedProcess:
    """Start an embedded server as ``python -m tfs_deploy.server`` would."""
    return ForkedProcess("tfs_deploy.server.__main__", flags, (log, log))


class ForkedProcess:
    """The ``main`` of a module in a process of its own, with the part of ``Popen`` that tests use.

    It is killed when the process that started it ends.
    """

    def __init__(
        self,
        module: str,
        arguments: list[str],
        outputs: tuple[IO[Any], IO[Any]],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        preload: str = "",
    ) -> None:
        self.returncode: int | None = None
        self._arguments = arguments
        self._received = b""
        environment = dict(os.environ if env is None else env)
        request = {"module": module, "arguments": arguments, "cwd": str(cwd or Path.cwd()), "env": environment}
        self._report, theirs = socket.socketpair()
        with theirs:
            handles = [*(output.fileno() for output in outputs), theirs.fileno()]
            socket.send_fds(_warm(preload), [json.dumps(request).encode()], handles)
        self.pid = self._number(None)

    def poll(self) -> int | None:
        """Return the exit code, ``None`` while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended."""
        if self.returncode is None:
            self.returncode = self._number(timeout)
            self._report.close()
        return self.returncode

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it and wait for its end."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def _number(self, timeout: float | None) -> int:
        """Return the next number that ``_watch`` tells."""
        while b"\n" not in self._received:
            if not select.select([self._report], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self._arguments, timeout or 0)
            data = self._report.recv(64)
            assert data, "the process that forks has ended"
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return int(line)


def _content(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


@functools.cache
def _warm(preload: str) -> socket.socket:
    """Start the process that forks, which ends with this one; return where it takes requests."""
    requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        # one request is one message
        requests.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        command = [sys.executable, __file__, str(theirs.fileno()), preload]
        process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
    atexit.register(_end, requests, process)
    return requests


def _end(requests: socket.socket, process: subprocess.Popen[bytes]) -> None:
    requests.close()
    process.wait()


def _serve(requests: socket.socket) -> dict[str, Any]:
    """Return in a new process for each request, as which it goes on; this one waits for more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.freeze()  # what is not looked at is not copied
    while True:
        data, handles, _, _ = socket.recv_fds(requests, 1 << 20, 3)
        if not data:
            sys.exit()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            out, err, report = handles
            pid = os.fork()
            if pid:
                _watch(pid, socket.socket(fileno=report))
            os.dup2(out, 1)
            os.dup2(err, 2)
            for handle in (requests.detach(), *handles):
                os.close(handle)
            return dict(json.loads(data))
        for handle in handles:
            os.close(handle)


def _watch(pid: int, report: socket.socket) -> NoReturn:
    """Tell the process's number, and its exit code once it has ended; end it if the process that started it ends."""
    report.sendall(b"%d\n" % pid)
    if report in select.select([os.pidfd_open(pid), report], [], [])[0]:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):  # nothing may be waiting any more
        report.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _main(handle: str, preload: str) -> int:
    package = importlib.import_module("tfs_deploy")
    for module in pkgutil.walk_packages(package.__path__, "tfs_deploy."):
        if module.name not in _LEFT_OUT and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    before = dict(os.environ)
    importlib.import_module("tfs_deploy.runtime.library").load_library()
    # which TensorFlow reads at its first tensor only, as for how its allocator works
    loading = {name: value for name, value in os.environ.items() if name not in before}
    if preload:
        importlib.import_module(preload)
    request = _serve(socket.socket(fileno=int(handle)))
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(loading | request["env"])
    sys.argv = [str(Path(package.__path__[0], "__main__.py")), *request["arguments"]]
    sys.path[0] = request["cwd"]  # as for python -m
    importlib.invalidate_caches()
    return int(importlib.import_module(request["module"]).main())


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
