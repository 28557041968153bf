# SPDX-License-Identifier: Apache-2.0
"""The policy file: its keys, its JSON Schema, and how it is read. configs/policy.yaml has every key.

pydantic and PyYAML are imported with this module: ``policies.read_policy`` imports it on use.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, WithJsonSchema

from tfs_deploy.deployment.file.messages import explain, path_text
from tfs_deploy.deployment.file.yaml_reader import read_yaml
from tfs_deploy.errors import EnvironmentFault, Problem, SpecError, UsageError, file_hint
from tfs_deploy.host.regular_file import read_regular
from tfs_deploy.savedmodel.graph.ops import SERVER_OPS, is_known_op, stock_ops
from tfs_deploy.savedmodel.lint.policy import FORMATS, Policy
from tfs_deploy.text import did_you_mean
from tfs_deploy.verify.checks import GROUPS

if TYPE_CHECKING:
    from tfs_deploy.deployment.file.yaml_reader import KeyPath, ParsedYaml

#: in ``ops.allow``: the ops of the stock server but the unsafe ones
DEFAULT: Final = "default"
_OP: Final = r"[A-Za-z0-9_.][A-Za-z0-9_.\\/>-]*"

Op = Annotated[str, StringConstraints(pattern=f"^{_OP}$")]
Bytes = Annotated[int, Field(ge=1, lt=2**63)]
Name = Annotated[str, StringConstraints(min_length=1)]
Allowed = Annotated[
    list[Op],
    BeforeValidator(lambda value: [value] if value == DEFAULT else value),
    WithJsonSchema(
        {"anyOf": [{"enum": [DEFAULT]}, {"type": "array", "items": {"type": "string", "pattern": f"^{_OP}$"}}]}
    ),
]
_HINT: Final = "configs/policy.yaml of the project has every key"


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class OpsKeys(_Keys):
    """The key ``ops``."""

    allow: Allowed = Field(
        default=[DEFAULT],
        description="The ops that a model may hold: default (those of the stock server that reach no files, other "
        "machines or Python), or a list, which default may be a part of.",
    )
    deny: list[Op] = Field(default=[], description="Ops that a model may not hold, whatever allow says.")


class PolicyKeys(_Keys):
    """The keys of a policy file."""

    ops: OpsKeys = Field(default=OpsKeys(), description="Which ops a model may hold.")
    custom_ops: Literal["refuse", "allow"] = Field(
        default="refuse", description="Ops that the stock server does not have and that ops.allow does not name."
    )
    max_bytes: Bytes | None = Field(default=None, description="The most bytes that all files of a version may have.")
    max_graph_bytes: Bytes | None = Field(default=None, description="The most bytes that saved_model.pb may have.")
    required_signatures: list[Name] = Field(default=[], description="Signatures that a model has to have.")
    required_verdict_groups: list[Literal[tuple(GROUPS)]] = Field(  # type: ignore[valid-type]  # its words are computed
        default=[], description="Groups of checks of which verify has to make at least one each that passes."
    )
    formats: list[Literal[FORMATS]] = Field(  # type: ignore[valid-type]  # its words are computed
        default=[FORMATS[0]],
        min_length=1,
        description="Formats that a version may hold. The ops of a model.tflite cannot be looked at.",
    )


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the policy file for editors: draft 7, in one piece."""
    made = PolicyKeys.model_json_schema()
    sections = made.pop("$defs")

    def plain(node: Any) -> Any:
        if isinstance(node, list):
            return [plain(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            node = sections[node["$ref"].rpartition("/")[2]] | {k: v for k, v in node.items() if k != "$ref"}
        forms = [form for form in node.get("anyOf", []) if form != {"type": "null"}]
        if len(forms) == 1:
            node = forms[0] | {k: v for k, v in node.items() if k not in ("anyOf", "default")}
        return {k: plain(v) for k, v in node.items() if k != "title"}

    about = {"$schema": "http://json-schema.org/draft-07/schema#", "$id": "urn:tfs-deploy:policy-file"}
    body: dict[str, Any] = plain(made)
    return about | body | {"description": "A policy: what a model may hold to be served."}


def read(path: str | Path) -> Policy:
    """See ``tfs_deploy.verify.policies.read_policy``."""
    source = Path(path)
    content = _content(source)
    try:
        # a policy says the same wherever it is read: variables are not put in
        parsed = read_yaml(content.decode("utf-8-sig"), "policy file", variables=False)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SpecError([Problem(str(source), line, "", "not UTF-8 text")], hint="save it as UTF-8") from None
    problems = [Problem(str(source), line, path_text(place), message) for line, place, message in parsed.problems]
    if not problems and not isinstance(parsed.data, dict):
        message = f"not a mapping: a policy file has the keys {', '.join(PolicyKeys.model_fields)}"
        problems = [Problem(str(source), parsed.line(()), "", message)]
    keys: PolicyKeys | None = None
    if isinstance(parsed.data, dict):
        try:
            keys = PolicyKeys.model_validate(parsed.data)
            found = _pointless(keys)
        except ValidationError as error:
            found = [_explained(each) for each in error.errors(include_url=False)]
        problems += _problems(source, parsed, found, {problem.path for problem in problems})
    if problems or keys is None:
        raise SpecError(sorted(problems, key=lambda problem: problem.line), hint=_HINT)
    return _policy(keys, source.name, hashlib.sha256(content).hexdigest())


def _content(source: Path) -> bytes:
    try:
        return read_regular(source)
    except FileNotFoundError:
        raise UsageError(f"policy file {source} does not exist", hint=_HINT) from None
    except IsADirectoryError:
        raise UsageError(f"{source} is a directory, not a policy file", hint=_HINT) from None
    except OSError as error:
        raise EnvironmentFault(f"{source} cannot be read: {error.strerror}", hint=file_hint(error)) from error


def _explained(error: Any) -> tuple[KeyPath, str]:
    place: KeyPath = error["loc"]
    if error["type"] == "extra_forbidden":
        keys = list((OpsKeys if place[:-1] == ("ops",) else PolicyKeys).model_fields)
        hint = did_you_mean(str(place[-1]), keys, otherwise=f"the keys here are {', '.join(keys)}")
        return place, f"unknown key, {hint}"
    if error["type"] == "string_pattern_mismatch":
        return place, "not a valid name of an op"
    return explain(error)


def _pointless(keys: PolicyKeys) -> list[tuple[KeyPath, str]]:
    """Find what would silently deny nothing: an op that no server has, which is likely misspelt."""
    found: list[tuple[KeyPath, str]] = []
    for number, op in enumerate(keys.ops.deny):
        if not is_known_op(op) and keys.custom_ops == "refuse":
            hint = did_you_mean(op, [*stock_ops(), *SERVER_OPS], otherwise="custom ops are refused anyway")
            found.append((("ops", "deny", number), f"unknown op '{op}', {hint}"))
        elif op in keys.ops.allow:
            found.append((("ops", "deny", number), f"{op} is also allowed"))
    return found


def _problems(source: Path, parsed: ParsedYaml, found: list[tuple[KeyPath, str]], known: set[str]) -> list[Problem]:
    made = [Problem(str(source), parsed.line(place), path_text(place), message) for place, message in found]
    return [problem for problem in made if problem.path not in known]


def _policy(keys: PolicyKeys, name: str, sha256: str) -> Policy:
    return Policy(
        name=name,
        sha256=sha256,
        default_ops=DEFAULT in keys.ops.allow,
        allow=frozenset(keys.ops.allow) - {DEFAULT},
        deny=frozenset(keys.ops.deny),
        custom_ops=keys.custom_ops == "allow",
        max_bytes=keys.max_bytes,
        max_graph_bytes=keys.max_graph_bytes,
        required_signatures=tuple(keys.required_signatures),
        required_verdict_groups=tuple(keys.required_verdict_groups),
        formats=tuple(keys.formats),
    )
