"""``tfs-deploy`` as a process of its own that starts at once: it is forked from one that has imported what it needs.

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
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

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
    request = {"arguments": words, "cwd": str(cwd or Path.cwd()), "env": dict(os.environ if env is None else env)}
    with contextlib.ExitStack() as stack:
        out, err = (stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8")) for _ in range(2))
        report, theirs = (stack.enter_context(each) for each in socket.socketpair())
        handles = [out.fileno(), err.fileno(), theirs.fileno()]
        socket.send_fds(_warm(preload), [json.dumps(request).encode()], handles)
        theirs.close()
        report.settimeout(timeout)
        lines = stack.enter_context(report.makefile())
        pid = int(lines.readline())
        try:
            code = int(lines.readline())
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(words, timeout) from None
        return subprocess.CompletedProcess(words, code, *(_text(each) for each in (out, err)))


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read())


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
    """Tell the process's number, and its exit code once it has ended."""
    report.sendall(b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):  # it may have been given up
        report.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _main(handle: str, preload: str) -> int:
    package = importlib.import_module("tfs_deploy")
    for module in pkgutil.walk_packages(package.__path__, "tfs_deploy."):
        if module.name not in _LEFT_OUT and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    if preload:
        importlib.import_module(preload)
    request = _serve(socket.socket(fileno=int(handle)))
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = [str(Path(package.__path__[0], "__main__.py")), *request["arguments"]]
    sys.path[0] = request["cwd"]  # as for python -m
    importlib.invalidate_caches()
    entry = importlib.import_module("tfs_deploy.cli.entry")
    return int(entry.main())


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
