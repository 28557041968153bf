# SPDX-License-Identifier: Apache-2.0
"""Command-line flags: all of tensorflow_model_server's, and a few of this server's own."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tfs_deploy.deployment.flags import FLAGS, Flag, FlagValue, check_flag
from tfs_deploy.errors import UsageError
from tfs_deploy.host.addresses import LOOPBACK, is_ip_address
from tfs_deploy.server.rest.limits import RestLimits
from tfs_deploy.text import closest

LOG_LEVELS: Final = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class OwnFlag(Flag):
    """A flag that only this server has: ``about`` is for --help, ``takes`` and ``fits`` tell which values are valid."""

    about: str = ""
    takes: str = ""
    fits: Callable[[FlagValue], bool] = lambda _value: True


def _is_positive(value: FlagValue) -> bool:
    return not isinstance(value, str) and value > 0


_REST: Final = RestLimits()
OWN_FLAGS: Final[dict[str, OwnFlag]] = {
    flag.name: flag
    for flag in (
        OwnFlag(
            "address",
            "string",
            LOOPBACK,
            about="the IP address that both ports are opened on; 0.0.0.0 is every IPv4 address",
            takes="an IP address of this machine",
            fits=is_ip_address,
        ),
        OwnFlag(
            "drain_seconds",
            "float",
            5.0,
            about="seconds that requests in flight may take after SIGTERM or SIGINT",
            takes="a number of seconds",
            fits=lambda value: not isinstance(value, str) and value >= 0,
        ),
        OwnFlag("exit_with_parent", "bool", default=False, about="stop when the process that started this one ends"),
        OwnFlag(
            "max_connections",
            "int32",
            _REST.connections,
            about="connections that may be open at a time on each port",
            takes="a positive number",
            fits=_is_positive,
        ),
        OwnFlag(
            "rest_api_idle_seconds",
            "float",
            _REST.idle_seconds,
            about="seconds that a REST connection may stay open between two requests",
            takes="a positive number of seconds",
            fits=_is_positive,
        ),
        OwnFlag(
            "rest_api_request_seconds",
            "float",
            _REST.request_seconds,
            about="seconds that the headers of a REST request may take, and that its body or its reader may pause",
            takes="a positive number of seconds",
            fits=_is_positive,
        ),
        OwnFlag("load_op_library", "string", "", about="shared libraries with custom ops: FILE.so[,FILE.so]"),
        OwnFlag(
            "log_level",
            "string",
            "info",
            about="debug, info, warning or error",
            takes=f"one of {', '.join(LOG_LEVELS)}",
            fits=lambda value: value in LOG_LEVELS,
        ),
        OwnFlag(
            "remote_reload",
            "bool",
            default=False,
            about="let clients of other machines replace the config (HandleReloadConfigRequest)",
        ),
    )
}
#: accepted, because scripts pass them, but they change nothing here
IGNORED_FLAGS: Final = frozenset(
    {
        "enable_profiler",
        "flush_filesystem_caches",
        "mixed_precision",
        "num_tflite_interpreters_per_pool",
        "num_tflite_pools",
        "prefer_tflite_model",
        "remove_unused_fields_from_bundle_metagraph",
        "skip_initialize_tpu",
        "thread_pool_factory_config_file",
        "use_alts_credentials",
    }
)
_TRUE: Final = frozenset({"true", "1", "t", "yes", "y"})
_FALSE: Final = frozenset({"false", "0", "f", "no", "n"})
_HINT: Final = "python -m tfs_deploy.server --help lists all flags"


@dataclass(frozen=True, slots=True)
class ServerFlags:
    """The value of every flag: those given on the command line, and the defaults of the others."""

    values: dict[str, FlagValue]
    given: tuple[str, ...] = field(default=())

    def text(self, name: str) -> str:
        """Return a string flag."""
        return str(self.values[name])

    def number(self, name: str) -> int:
        """Return an integer flag."""
        return int(self.values[name])

    def real(self, name: str) -> float:
        """Return a float flag."""
        return float(self.values[name])

    def on(self, name: str) -> bool:
        """Return a boolean flag."""
        return bool(self.values[name])

    @property
    def ignored(self) -> list[str]:
        """The flags that were given but change nothing here; one that is switched off does what it says."""
        return [name for name in self.given if name in IGNORED_FLAGS and self.values[name]]


def _known() -> dict[str, Flag]:
    return FLAGS | OWN_FLAGS


def flag_names() -> list[str]:
    """Return the names of all flags, without dashes."""
    return list(_known())


def default_value(flag: Flag) -> FlagValue:
    """Return a flag's default; some depend on the number of CPUs, as in the server."""
    if flag.default is not None:
        return flag.default
    cpus = os.cpu_count() or 1
    return cpus if flag.name == "num_tflite_pools" else 4 * cpus


def parse_flags(arguments: list[str]) -> ServerFlags:
    """Read a command line: ``--flag=value``, ``--flag value``, and ``--flag`` alone for true; the last one wins.

    Raises:
        UsageError: an unknown flag (the original ignores it), a positional argument, or a value that is not valid.
    """
    known = _known()
    values = {name: default_value(flag) for name, flag in known.items()}
    given: dict[str, None] = {}
    queue = list(arguments)
    while queue:
        argument = queue.pop(0)
        name, equals, text = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or not name:
            raise UsageError(f"unexpected argument {argument!r}", hint=f"flags start with two dashes; {_HINT}")
        flag = known.get(name)
        if flag is None:
            raise _unknown(name, known)
        if not equals:
            text = _separate_value(flag, queue)
        values[name] = _value(flag, text)
        given[name] = None
    return ServerFlags(values, tuple(given))


def _separate_value(flag: Flag, queue: list[str]) -> str:
    if flag.type == "bool" and (not queue or queue[0].lower() not in _TRUE | _FALSE):
        return "true"
    if not queue:
        raise UsageError(f"flag --{flag.name} needs a value", hint=f"--{flag.name}=VALUE")
    return queue.pop(0)


def _value(flag: Flag, text: str) -> FlagValue:
    value: FlagValue = text
    if flag.type == "bool":
        value = _boolean(flag, text)
    elif flag.type in ("int32", "int64") and re.fullmatch(r"[+-]?\d{1,20}", text):
        value = int(text)
    elif flag.type == "float":
        try:
            value = float(text)
        except ValueError:
            value = text
    problem = _own_problem(flag, value) if isinstance(flag, OwnFlag) else check_flag(flag.name, value)
    if problem is not None:
        raise UsageError(problem, hint=_HINT)
    return value


def _boolean(flag: Flag, text: str) -> bool:
    lowered = text.lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise UsageError(f"flag {flag.name!r} takes true or false, not {text!r}")


def _own_problem(flag: OwnFlag, value: FlagValue) -> str | None:
    return None if flag.fits(value) else f"flag {flag.name!r} takes {flag.takes}, not {value!r}"


def _unknown(name: str, known: dict[str, Flag]) -> UsageError:
    near = closest(name, known)
    return UsageError(
        f"unknown flag --{name}" + ("" if near is None else f", did you mean --{near}?"),
        hint=f"tensorflow_model_server would ignore it; {_HINT}",
    )


def help_text(program: str = "python -m tfs_deploy.server", about: str = "") -> str:
    """Return the help: what the program is about, then every flag with its type and default."""
    lines = [f"Usage: {program} --flag=value ...", *(["", about] if about else [])]
    lines += ["", "Flags of tensorflow_model_server:"]
    for flag in FLAGS.values():
        note = "  (ignored here)" if flag.name in IGNORED_FLAGS else ""
        lines.append(f"  --{flag.name}={_shown(flag)}  {flag.type}{note}")
    lines += ["", "Flags of the embedded server:"]
    lines += [f"  --{flag.name}={_shown(flag)}  {flag.type}: {flag.about}" for flag in OWN_FLAGS.values()]
    return "\n".join(lines)


def _shown(flag: Flag) -> str:
    value = default_value(flag)
    return str(value).lower() if isinstance(value, bool) else repr(value) if value == "" else str(value)
