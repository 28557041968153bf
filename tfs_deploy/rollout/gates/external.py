# SPDX-License-Identifier: Apache-2.0
"""Gates that ask outside: a command, a URL, a Prometheus server. One that does not answer never passes."""

from __future__ import annotations

import math
import re
import string
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import TfsDeployError, UnavailableError, UsageError
from tfs_deploy.host.commands import CommandResult, run_command, split_command
from tfs_deploy.rollout.gates.conditions import Condition, number_at, path_steps
from tfs_deploy.rollout.gates.gate import GateVerdict, Verdict
from tfs_deploy.rollout.gates.spec import GateKind
from tfs_deploy.rollout.web import check_url, fetch_json, is_url
from tfs_deploy.rollout.web_access import PLAIN, WebAccess
from tfs_deploy.text import parse_document

if TYPE_CHECKING:
    from tfs_deploy.rollout.gates.gate import StepView

#: the exit code with which a command says that it cannot tell yet (EX_TEMPFAIL of sysexits.h)
CANNOT_TELL: Final = 75
_MISSING: Final = (126, 127)
_SEPARATOR: Final = "::"
_PLACEHOLDER: Final = re.compile(r"\$\w+|\$\{\w+\}")


def placeholders(step: StepView) -> dict[str, str]:
    """Return the values of ``$model`` and so on in queries and commands."""
    return {
        "model": step.model,
        "version": str(step.version),
        "label": step.label,
        "percent": f"{step.weight:g}",
        "window": f"{max(1, math.ceil(step.seconds))}s",
    }


@dataclass(frozen=True, slots=True)
class CommandGate:
    """Runs a command, with the step as JSON on its standard input and as ``$model`` and so on in its arguments.

    Exit code 0 passes, 75 means too few samples, any other fails with the last printed line as the reason. It runs in
    ``directory`` if that is not empty. With ``condition`` the command prints a JSON document, and the number at
    ``condition.subject`` decides.
    """

    command: str
    condition: Condition | None = None
    timeout: float = 60.0
    name: str = "command"
    directory: str = ""

    def judge(self, step: StepView) -> GateVerdict:
        """Run the command and judge its answer."""
        try:
            done = self._run(step)
        except UnavailableError as error:
            return GateVerdict(self.name, Verdict.TOO_FEW, error.message)
        said = done.last_line or f"exit code {done.code}"
        if done.code == CANNOT_TELL or done.code in _MISSING:
            return GateVerdict(self.name, Verdict.TOO_FEW, said)
        if done.code != 0:
            return GateVerdict(self.name, Verdict.FAIL, said)
        if self.condition is None:
            return GateVerdict(self.name, Verdict.PASS, said)
        try:
            value = number_at(parse_document(done.output), self.condition.subject)
        except ValueError:
            return GateVerdict(self.name, Verdict.TOO_FEW, "the command did not print JSON")
        except TfsDeployError as error:
            return GateVerdict(self.name, Verdict.TOO_FEW, error.message)
        return _compared(self.name, self.condition, value)

    def _run(self, step: StepView) -> CommandResult:
        names = placeholders(step)
        windows = {"canary": step.canary.as_dict(), "stable": step.stable.as_dict()}
        facts = {**names, "seconds": step.seconds, "windows": windows}
        arguments = [string.Template(word).safe_substitute(names) for word in split_command(self.command)]
        environment = {f"TFS_DEPLOY_{key.upper()}": text for key, text in names.items()}
        return run_command(arguments, facts, timeout=self.timeout, environment=environment, directory=self.directory)


@dataclass(frozen=True, slots=True)
class UrlGate:
    """Reads a number in the JSON document behind a URL, in which ``$model`` and so on are filled in."""

    url: str
    condition: Condition
    timeout: float = 5.0
    name: str = "url"
    access: WebAccess = PLAIN

    def judge(self, step: StepView) -> GateVerdict:
        """Fetch the document and judge the number at ``condition.subject``."""
        quoted = {key: urllib.parse.quote(text, safe="") for key, text in placeholders(step).items()}
        try:
            url = string.Template(self.url).safe_substitute(quoted)
            document = fetch_json(url, timeout=self.timeout, access=self.access)
            value = number_at(document, self.condition.subject)
        except UnavailableError as error:
            return GateVerdict(self.name, Verdict.TOO_FEW, error.message)
        return _compared(self.name, self.condition, value)


@dataclass(frozen=True, slots=True)
class PrometheusGate:
    """Sends a Prometheus server an instant query (``/api/v1/query``) and compares every series of the answer.

    ``$window`` in the query is the time since the step began (``30s``), ``$model``, ``$version``, ``$label`` and
    ``$percent`` are those of the step. No series, or NaN, is too few samples.
    """

    server: str
    condition: Condition
    timeout: float = 10.0
    name: str = "promql"
    access: WebAccess = PLAIN

    def judge(self, step: StepView) -> GateVerdict:
        """Ask the server and judge the worst series."""
        query = string.Template(self.condition.subject).safe_substitute(placeholders(step))
        url = f"{self.server.rstrip('/')}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        try:
            values = _series(fetch_json(url, timeout=self.timeout, access=self.access))
        except UnavailableError as error:
            return GateVerdict(self.name, Verdict.TOO_FEW, error.message)
        sound = [value for value in values if not math.isnan(value)]
        if not sound:
            return GateVerdict(self.name, Verdict.TOO_FEW, "the query has no result")
        bad = [value for value in sound if not self.condition.holds(value)]
        if not bad and len(sound) < len(values):
            return GateVerdict(self.name, Verdict.TOO_FEW, "part of the query's result is not a number")
        return _compared(self.name, self.condition, bad[0] if bad else sound[0])


def _series(document: object) -> list[float]:
    """Return the values of a reply of the HTTP API: a vector of series, or one scalar."""
    try:
        if document["status"] != "success":  # type: ignore[index]
            raise UnavailableError(f"Prometheus answered: {document['error']}")  # type: ignore[index]
        data = document["data"]  # type: ignore[index]
        if data["resultType"] == "scalar":
            return [float(data["result"][1])]
        return [float(entry["value"][1]) for entry in data["result"]]
    except (KeyError, TypeError, ValueError, IndexError):
        raise UnavailableError("the answer is not a Prometheus reply to an instant query") from None


def _compared(name: str, condition: Condition, value: float) -> GateVerdict:
    if condition.holds(value):
        return GateVerdict(name, Verdict.PASS, f"{value:g} {condition}")
    return GateVerdict(name, Verdict.FAIL, f"{value:g} is not {condition}")


def with_prometheus(setting: str, server: str) -> str:
    """Return the setting of a ``promql`` gate with ``server`` in it, unless it names its own."""
    return setting if "://" in setting.partition(_SEPARATOR)[0] else f"{server} {_SEPARATOR} {setting}"


def _read_command(_name: str, setting: str) -> dict[str, Any]:
    command, separator, condition = setting.partition(_SEPARATOR)
    split_command(command)
    return {"command": command.strip(), "condition": _on_json(condition) if separator else None}


def _read_url(name: str, setting: str) -> dict[str, Any]:
    url, condition = _url_and_rest(name, setting, example="$.ctr >= 0.1")
    return {"url": url, "condition": _on_json(condition)}


def _read_promql(name: str, setting: str) -> dict[str, Any]:
    example = 'rate(errors_total{version="$version"}[$window]) < 0.01; or name the server with --prometheus'
    server, condition = _url_and_rest(name, setting, example=example)
    return {"server": server, "condition": Condition.parse(condition)}


def _url_and_rest(name: str, setting: str, *, example: str) -> tuple[str, str]:
    url, separator, rest = setting.partition(f" {_SEPARATOR}")
    if not is_url(url) or not separator or not rest.strip():
        message = f"the gate {name}={setting} is incomplete"
        raise UsageError(message, hint=f"write {name}=http://HOST/PATH {_SEPARATOR} {example}")
    # a number is valid wherever a placeholder may be
    check_url(_PLACEHOLDER.sub("1", url.strip()))
    return url.strip(), rest.strip()


def _on_json(text: str) -> Condition:
    condition = Condition.parse(text)
    path_steps(condition.subject)
    return condition


COMMAND: Final = GateKind(
    ("command",),
    (
        ("command='CMD'", "exit code 0 passes, 75 cannot tell yet, else fails"),
        ("command='CMD :: $.ctr >= 0.1'", "the command prints JSON"),
    ),
    _read_command,
    lambda options, sources: CommandGate(**options, directory=sources.directory),
)
URL: Final = GateKind(
    ("url",),
    (("url='URL :: $.ctr >= 0.1'", "JSON behind a URL"),),
    _read_url,
    lambda options, sources: UrlGate(**options, access=sources.access),
)
PROMQL: Final = GateKind(
    ("promql",),
    (("promql='QUERY < 0.01'", "with --prometheus, or 'URL :: QUERY < 0.01'"),),
    _read_promql,
    lambda options, sources: PrometheusGate(**options, access=sources.access),
)
