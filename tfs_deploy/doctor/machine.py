# SPDX-License-Identifier: Apache-2.0
"""Judgements of the machine: system, ports, disks, limits, clocks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from tfs_deploy.doctor.finding import Finding, ok, problem, skipped, warning
from tfs_deploy.text import counted, size_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.doctor.facts import (
        Certificate,
        Clock,
        Disk,
        EngineFacts,
        Limits,
        ModelStore,
        Port,
        TrustedKey,
        Wanted,
    )

_MB: Final = 10**6
#: room in bytes below which (something fails, space is short): logs and config; versions; temporary files; images
_ROOM: Final = {
    "state": (50 * _MB, 500 * _MB),
    "models": (50 * _MB, 1000 * _MB),
    "tmp": (50 * _MB, 500 * _MB),
    "docker": (50 * _MB, 4000 * _MB),
}
_FEW_FILES: Final = 1000
_DAY: Final = 86_400
#: days that a certificate should be valid yet
_FEW_DAYS: Final = 30
#: open files: a server with its threads, connections and models; what a service with a pool of connections needs
_LEAST_FILES, _GOOD_FILES = 256, 1024
#: seconds between two clocks: what network file systems and virtual machines show when they are well
_CLOSE, _FAR = 2.0, 30.0
_OLDEST_YEAR, _NEWEST_YEAR = 2024, 2100


def judge_system(system: str, machine: str) -> Finding:
    """Return whether the toolkit supports this system."""
    if system == "Linux":
        return ok("python.platform", f"Linux on {machine}")
    return warning(
        "python.platform",
        f"{system} on {machine}: only Linux is tested",
        "run it on a Linux machine or in a Linux container",
    )


def judge_port(port: Port, wanted: Wanted) -> Finding:
    """Return whether a server could listen on a port."""
    name = f"port.{port.key.removesuffix('_port')}"
    choose = f"choose another server.{port.key}"
    if not port.number:
        return skipped(name, "the deployment file turns it off")
    if port.state == "free":
        return ok(name, f"{port.number} is free")
    if port.own and port.open_on:
        text = f"{port.number} is open to other machines on {', '.join(port.open_on)}, which the file does not ask for"
        return warning(name, text, "tfs-deploy restart FILE starts the server on the address of the file")
    if port.own:
        return ok(name, f"{port.number} is held by this deployment's own server, {port.holder}")
    bad = warning if wanted.target is None else problem
    if port.state == "forbidden":
        return bad(name, f"{port.number} may not be used by this user", f"{choose}, from 1024 on")
    by = f"by {port.holder}" if port.holder else "by a process of another user"
    return bad(name, f"{port.number} is in use {by}", f"stop it, or {choose}")


def judge_disk(disk: Disk, wanted: Wanted) -> Finding:
    """Return whether there is room, and the right to use it; without a file the working directory may be read-only."""
    name, kind = f"disk.{disk.name}", disk.name.partition(".")[0]
    least, good = _ROOM[kind]
    if disk.error is not None:
        return problem(name, f"{disk.path} cannot be inspected: {disk.error}", "correct the path or its permissions")
    if not disk.readable:
        return problem(name, f"{disk.path} cannot be read by this user", f"chmod or chown it: ls -ld {disk.path}")
    if disk.unreadable is not None:
        return problem(name, disk.unreadable, f"chmod -R a+rX {disk.path}")
    if not disk.writable and kind != "models":
        judge = warning if wanted.target is None and kind == "state" else problem
        hint = f"chmod or chown it (ls -ld {disk.path}), or mount it writable"
        return judge(name, f"{disk.path} cannot be written by this user", hint)
    free = f"{disk.path}: {size_text(disk.free)} free"
    clean = "remove what is not needed: docker system df" if kind == "docker" else f"du -xh {disk.path} | sort -h"
    if disk.free < least:
        return problem(name, free, clean)
    if disk.files is not None and disk.files < _FEW_FILES:
        return problem(
            name, f"{free}, but room for only {disk.files} more files", "df -i shows which file system is full"
        )
    if disk.free < good:
        return warning(name, free, clean)
    return ok(name, free if disk.writable else f"{free}, read-only for this user")


def judge_store(store: ModelStore) -> Finding:
    """Judge whether ``pull`` can read the versions of a model."""
    name = f"store.{store.model}"
    if store.error is not None:
        hint = store.error.hint or "check the key store of the model, and the variables of the environment"
        return problem(name, store.error.message, hint)
    if not store.versions:
        hint = f"publish one: tfs-deploy publish MODEL_DIR --to {store.address}"
        return warning(name, f"{store.address} can be read, but holds no published version", hint)
    return ok(name, f"{store.address} can be read: {counted(store.versions, 'version')}")


def judge_certificate(certificate: Certificate) -> Finding:
    """Return whether a certificate is valid for a while yet: a server or a client with an expired one is refused."""
    name, path = f"tls.{certificate.key}", certificate.path
    if certificate.seconds is None:
        return problem(name, f"{path} is not a readable certificate", "tfs-deploy config FILE --check says more")
    days = int(certificate.seconds // _DAY)
    renew = "renew it, then run `tfs-deploy up`: the server reads it once, at its start"
    if certificate.seconds <= 0:
        return problem(name, f"{path} has expired", renew)
    if days < _FEW_DAYS:
        return warning(name, f"{path} expires in {counted(days, 'day')}", renew)
    return ok(name, f"{path} is valid for {days} days")


def judge_trusted_key(number: int, key: TrustedKey) -> Finding:
    """Return whether signatures can be checked with a file under ``trust``, and for a while yet."""
    name = f"trust.{number}"
    renew = "trust its successor too, and publish versions that it signed; then take this one out"
    if key.problem is not None:
        return problem(name, key.problem, key.hint)
    if key.seconds is None:
        return ok(name, f"{key.path} is a public key")
    if key.seconds <= 0:
        return problem(name, f"{key.path} has expired: what it vouches for is refused", renew)
    days = int(key.seconds // _DAY)
    if days < _FEW_DAYS:
        return warning(name, f"{key.path} expires in {counted(days, 'day')}", renew)
    return ok(name, f"{key.path} is valid for {days} days")


def judge_idle_variable(name: str, near: str | None) -> Finding:
    """Judge a variable that begins as that of an option and is none."""
    hint = (
        f"did you mean {near}?" if near else "tfs-deploy COMMAND --help says how the variables of its options are named"
    )
    return warning("environment.variables", f"{name} sets no option", hint)


def judge_limits(limits: Limits) -> Finding:
    """Return whether the limit of open files (``ulimit -n``) is enough for a server and its clients."""
    name = "limits.files"
    if limits.soft is None:
        return ok(name, "open files are not limited")
    detail = f"{limits.soft} open files at once"
    if limits.soft >= _GOOD_FILES:
        return ok(name, detail)
    if limits.hard is None or limits.hard >= _GOOD_FILES:
        hint = f"ulimit -n {min(limits.hard or 65536, 65536)}, in a unit: LimitNOFILE=65536"
    else:
        hint = f"the hard limit is {limits.hard}: raise it in /etc/security/limits.conf or the unit (LimitNOFILE=65536)"
    if limits.soft < _LEAST_FILES:
        return problem(name, f"{detail}: too few for a server with its connections", hint)
    return warning(name, f"{detail}: tight with many connections", hint)


def judge_clock(clock: Clock, engine: EngineFacts) -> Iterator[Finding]:
    """Yield the findings about the clocks: of the system, of the file system, of the engine's machine."""
    yield _system_clock(clock)
    yield _skew("clock.files", clock.files, "files of the state directory", "no file could be made there")
    reason = "the engine does not report its time" if engine.answers else "the engine was not reached"
    yield _skew("clock.engine", engine.skew, engine.name, reason)


def _system_clock(clock: Clock) -> Finding:
    name, hint = "clock.system", "timedatectl; TLS, journals and leases rely on it"
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(clock.now))
    if not clock.monotonic:
        return problem(name, "the monotonic clock of this machine runs backwards", "check the machine's clock source")
    if not _OLDEST_YEAR <= time.gmtime(clock.now).tm_year < _NEWEST_YEAR:
        return problem(name, f"this clock says {now}", hint)
    if clock.newest - clock.now > _CLOSE:
        return warning(name, f"this clock says {now}, which is before tfs-deploy was installed", hint)
    return ok(name, now)


def _skew(name: str, seconds: float | None, what: str, why_not: str) -> Finding:
    if seconds is None:
        return skipped(name, why_not)
    if abs(seconds) <= _CLOSE:
        return ok(name, f"{what}: within {_CLOSE:g} s of this clock")
    side = "ahead of" if seconds > 0 else "behind"
    judge = problem if abs(seconds) > _FAR else warning
    return judge(
        name, f"{what}: {abs(seconds):.0f} s {side} this clock", "synchronise the clocks: timedatectl, chronyc"
    )
