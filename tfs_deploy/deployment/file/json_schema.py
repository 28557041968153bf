# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema of the deployment file, for editors: never stricter than the loader.

``scripts/make_reference`` writes it into the package. Draft 7 in one piece, without references: every version of
yaml-language-server reads that, and in draft 7 a description beside a reference would be lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.deployment.deployment import REST_NAME
from tfs_deploy.deployment.file.schema import DeploymentFile
from tfs_deploy.deployment.file.text_values import VARIABLE
from tfs_deploy.deployment.flags import DERIVED_FLAGS, FLAGS

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    from tfs_deploy.deployment.flags import Flag

    Path = tuple[str, ...]
    Schema = dict[str, Any]

#: a name, not an address: the schema is where the package is
IDENTIFIER: Final = "urn:tfs-deploy:deployment-file"
#: a text with an environment variable, which may stand for any single value (``variables``)
_VARIABLE: Final = r"\$\{[^{}]*\}"
_KINDS: Final = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}
#: mappings of free keys -> the form of a key
_KEYS: Final[dict[Path, re.Pattern[str]]] = {
    ("models", "labels"): REST_NAME,
    ("models", "traffic"): REST_NAME,
    ("server", "docker", "env"): VARIABLE,
}
#: sections with keys that need another key
_NEEDS: Final[dict[Path, dict[str, list[str]]]] = {
    ("ssl",): {"client_key": ["client_cert"], "client_cert": ["client_key"]},
}
_ANY_VARIABLE: Final = {"type": "string", "pattern": _VARIABLE}
_TYPES: Final = {"bool": "boolean", "string": "string", "float": "number"}


def json_schema(notes: Mapping[Path, Schema]) -> Schema:
    """Return the schema; ``notes`` lead from the path of a key, without list positions, to what else is said of it."""
    made = DeploymentFile.model_json_schema()
    body = _plain(made, (), made.pop("$defs"), notes)
    return {"$schema": "http://json-schema.org/draft-07/schema#", "$id": IDENTIFIER} | body


def _plain(node: Schema, path: Path, definitions: Mapping[str, Schema], notes: Mapping[Path, Schema]) -> Schema:
    """Return a part of pydantic's schema in one piece, as the file writes it: no null, and variables inside it."""
    node = dict(node)
    if "$ref" in node:
        node = definitions[node.pop("$ref").rpartition("/")[2]] | node
    forms = [form for form in node.pop("anyOf", []) if form != {"type": "null"}]
    if len(forms) == 1:
        return _plain(forms[0] | node, path, definitions, notes)
    if path == ("server", "flags"):
        return {"type": "object", "properties": _flags(), "additionalProperties": False}
    if isinstance(node.get("default"), (dict, list, type(None))):
        node.pop("default", None)
    if forms:
        return {"anyOf": [_plain(form, path, definitions, notes) for form in forms]} | node
    for key in ("title", "description"):
        node.pop(key, None)
    if "properties" in node:
        node["properties"] = {
            key: _or_variable(_plain(inner, (*path, key), definitions, notes)) | notes.get((*path, key), {})
            for key, inner in node["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            node[key] = _or_variable(_plain(node[key], path, definitions, notes))
    if path in _KEYS and node["type"] == "object":
        node["propertyNames"] = {"pattern": f"^{_KEYS[path].pattern}$"}
    return node | ({"dependencies": _NEEDS[path]} if path in _NEEDS else {})


def _or_variable(node: Schema) -> Schema:
    """Return the schema of a value that may also be written as a variable."""
    kind = node.get("type")
    if "anyOf" in node:
        return node | {"anyOf": [*node["anyOf"], _ANY_VARIABLE]}
    if "enum" in node:
        return {"anyOf": [{"enum": node["enum"]}, _ANY_VARIABLE]} | (
            {"default": node["default"]} if "default" in node else {}
        )
    if kind in _KINDS:
        message = f"must be {_KINDS[kind]}, or a variable such as ${{NAME}}"
        return node | {"type": [kind, "string"], "pattern": _VARIABLE, "patternErrorMessage": message}
    if kind == "string" and "pattern" in node:
        return node | {"pattern": f"{node['pattern']}|{_VARIABLE}"}
    return node


def _flags() -> Schema:
    return {name: _or_variable(_flag(flag)) for name, flag in FLAGS.items() if name not in DERIVED_FLAGS}


def _flag(flag: Flag) -> Schema:
    since = "" if flag.since == (2, 0) else f" Servers from {flag.since[0]}.{flag.since[1]} on have it."
    about = {"description": f"Flag of tensorflow_model_server: {flag.type}.{since}"}
    if flag.type in _TYPES:
        return {"type": _TYPES[flag.type]} | about
    limit = 1 << (31 if flag.type == "int32" else 63)
    return {"type": "integer", "minimum": -limit, "exclusiveMaximum": limit} | about
