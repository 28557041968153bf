# SPDX-License-Identifier: Apache-2.0
"""Public names, commands, server flags and exit codes are those of the record."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import functools
import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import click
import pytest

#: the modules that README, docs and examples name
MODULES = (
    "tfs_deploy",
    "tfs_deploy.client",
    "tfs_deploy.client.deployed",
    "tfs_deploy.codec",
    "tfs_deploy.errors",
    "tfs_deploy.export",
    "tfs_deploy.report",
    "tfs_deploy.rollout",
    "tfs_deploy.runtime",
    "tfs_deploy.savedmodel",
    "tfs_deploy.server.pytest_plugin",
    "tfs_deploy.server.testing",
    "tfs_deploy.smoke",
)
#: modules that are run, or imported for what their import does
NAMED = ("tfs_deploy.__main__", "tfs_deploy.runtime.keras_layer", "tfs_deploy.server.__main__")
#: types that annotations keep by name, beside public ones; a type of our own that no page names is written as _
TYPES = {*typing.__all__, *collections.abc.__all__, "NDArray", "Path", "Self", "None", "True", "False"}
#: defaults that follow the number of processors
BY_PROCESSORS = ("num_tflite_pools", "rest_api_num_threads", "grpc_max_threads")
#: what a move changes: where a name is defined, and where an object lies
_PLACE = re.compile(r"\btfs_deploy(\.\w+)*\.(?=\w)| at 0x[0-9a-f]+")
_ASSIGNED = re.compile(r"\bself\.([a-z]\w*)(?:: [^=\n]+)? = ")
_FORWARD = re.compile(r"ForwardRef\('([^']*)'\)")
_UNPACKED = re.compile(r"Unpack\[([\w.]+)\]")


@pytest.mark.parametrize("name", MODULES)
def test_the_names_of_a_module(name, recorded):
    module = importlib.import_module(name)
    recorded(f"names/{name}", {key: describe(getattr(module, key)) for key in public_names(module)})


@pytest.mark.parametrize(
    "name", ["tfs_deploy.__main__", "tfs_deploy.runtime.keras_layer", "tfs_deploy.server.__main__"]
)
def test_a_module_that_is_run_or_imported_by_its_name_alone(name):
    assert importlib.util.find_spec(name) is not None


def public_names(module: ModuleType) -> list[str]:
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return sorted(listed)
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
        and not isinstance(value, typing.TypeVar)
    )


def describe(value: Any) -> Any:
    """Return what callers rely on of a function, a class or a value, without where it is defined."""
    if isinstance(value, ModuleType):
        return "module"
    if inspect.isclass(value):
        return describe_class(value)
    if callable(value) and hasattr(value, "__name__"):
        return signature(value)
    return type(value).__name__


def describe_class(kind: type) -> dict[str, Any]:
    members = {name: text for base in reversed(own_bases(kind)) for name, text in describe_members(base)}
    document: dict[str, Any] = {"bases": sorted(base.__name__ for base in kind.__mro__[1:-1] if is_named(base))}
    if issubclass(kind, enum.Enum):
        return {**document, "values": {member.name: member.value for member in kind}, "members": members}
    if typing.is_typeddict(kind):
        return {**document, "keys": {name: annotation(text) for name, text in kind.__annotations__.items()}}
    if dataclasses.is_dataclass(kind):
        document["fields"] = [f"{field.name}: {annotation(field.type)}" for field in dataclasses.fields(kind)]
    else:
        document["attributes"] = sorted({name for base in own_bases(kind) for name in attributes(base)})
    if not getattr(kind, "_is_protocol", False):
        document["call"] = signature(kind)
    return {**document, "members": members}


def attributes(kind: type) -> set[str]:
    """Return the public attributes that instances get: slots, and what ``__init__`` assigns."""
    slots = kind.__dict__.get("__slots__", ())
    begin = kind.__dict__.get("__init__")
    assigned = _ASSIGNED.findall(inspect.getsource(begin)) if inspect.isfunction(begin) else ()
    return {name for name in (*slots, *assigned) if not name.startswith("_")}


def own_bases(kind: type) -> list[type]:
    return [base for base in kind.__mro__ if base.__module__.startswith("tfs_deploy")]


def is_named(base: type) -> bool:
    """Tell bases that callers can name from those that only share code."""
    builtin = base.__module__ in ("builtins", "collections.abc") or base in (enum.Enum, enum.IntEnum)
    return builtin or (issubclass(base, BaseException) and base.__module__ == "tfs_deploy.errors")


def describe_members(kind: type) -> Iterator[tuple[str, str]]:
    fields = {field.name for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
    slots = getattr(kind, "__slots__", ())
    for name, value in vars(kind).items():
        special = name in ("__enter__", "__aenter__", "__call__", "__getitem__", "__iter__", "__len__", "__contains__")
        if (name.startswith("_") and not special) or name in fields or name in slots:
            continue
        if isinstance(value, property):
            yield name, f"property -> {annotation(inspect.signature(value.fget).return_annotation)}"
        elif isinstance(value, (classmethod, staticmethod)):
            yield name, f"{type(value).__name__} {signature(value.__func__)}"
        elif inspect.isfunction(value):
            yield name, signature(value)
        elif issubclass(kind, enum.Enum):
            continue
        elif isinstance(value, (bool, int, str)):
            yield name, f"= {value!r}"


def signature(function: Any) -> str:
    """Return a signature as text, with the keys of ``**options: Unpack[Options]`` in its place."""
    try:
        found = inspect.signature(function)
    except ValueError:
        return "(...)"
    texts = []
    for parameter in found.parameters.values():
        unpacked = _UNPACKED.fullmatch(str(parameter.annotation))
        named = parameter.kind is parameter.KEYWORD_ONLY or unpacked
        if named and not any(text.startswith("*") for text in texts):
            texts.append("*")
        texts += [f"{key}=" for key in keys(unpacked[1])] if unpacked else [parameter_text(parameter)]
    returns = "" if found.return_annotation is found.empty else f" -> {annotation(found.return_annotation)}"
    return f"({', '.join(texts)}){returns}"


def keys(name: str) -> list[str]:
    """Return the keyword arguments that a TypedDict of that name allows."""
    modules = [module for key, module in sys.modules.items() if key.startswith("tfs_deploy")]
    options = next(vars(module)[name] for module in modules if name in vars(module))
    return sorted(options.__annotations__)


def parameter_text(parameter: inspect.Parameter) -> str:
    text = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "") + parameter.name
    if parameter.annotation is not parameter.empty:
        text += f": {annotation(parameter.annotation)}"
    return text if parameter.default is parameter.empty else f"{text} = {plain(repr(parameter.default))}"


def annotation(value: Any) -> str:
    text = plain(value if isinstance(value, str) else inspect.formatannotation(value))
    return re.sub(r"(?<![.\w])[A-Z]\w*", lambda word: word[0] if word[0] in TYPES | public_types() else "_", text)


@functools.cache
def public_types() -> frozenset[str]:
    return frozenset(name for module in MODULES for name in public_names(importlib.import_module(module)))


@functools.cache
def aliases() -> dict[str, str]:
    """Return the public names of classes that are called otherwise inside, by their own name."""
    found = {
        name: getattr(importlib.import_module(module), name)
        for module in MODULES
        for name in public_names(importlib.import_module(module))
    }
    own = {name: value.__name__ for name, value in found.items() if isinstance(value, type)}
    return {inside: name for name, inside in own.items() if inside not in found}


def plain(text: str) -> str:
    text = _PLACE.sub("", _FORWARD.sub(r"\1", text))
    return re.sub(r"\b[A-Z]\w*", lambda word: aliases().get(word[0], word[0]), text)


def test_the_options_of_every_command(command_group, recorded):
    recorded("commands", dict(commands(command_group, "tfs-deploy")))


def commands(command: click.Command, path: str) -> Iterator[tuple[str, Any]]:
    """Yield each command and sub-command with its parameters; help texts may be reworded."""
    yield path, {parameter_name(each): parameter(each) for each in command.params}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, f"{path} {name}")


def parameter_name(each: click.Parameter) -> str:
    return str(each.name) if isinstance(each, click.Argument) else ", ".join([*each.opts, *each.secondary_opts])


def parameter(each: click.Parameter) -> str:
    """Return what a parameter takes in one line: ``option, float range, min 0.5, default 3.0``."""
    flag = isinstance(each, click.Option) and each.is_flag
    kind = each.type
    words = [each.param_type_name, "flag" if flag else kind.name]
    if isinstance(kind, click.Choice):
        words.append(f"choices {' '.join(sorted(map(str, kind.choices)))}")
    if isinstance(kind, (click.IntRange, click.FloatRange)):
        words += [f"min {kind.min}{' (open)' * kind.min_open}", f"max {kind.max}{' (open)' * kind.max_open}"]
    words += ["required"] * each.required + ["multiple"] * each.multiple
    if each.nargs != 1:
        words.append(f"nargs {each.nargs}")
    return ", ".join([*words, f"default {default(each.default, flag=flag)}"])


def default(value: Any, *, flag: bool) -> Any:
    """Return a default; what click's releases write for none at all is none."""
    if flag:
        return value is True
    plain_value = value is None or isinstance(value, (bool, int, float, str))
    return value if plain_value else None if "UNSET" in repr(value) else str(value)


def test_the_flags_of_the_server(recorded):
    line = [sys.executable, "-m", "tfs_deploy.server", "--help"]
    text = subprocess.run(line, capture_output=True, text=True, timeout=300, check=True).stdout
    # `--name=default  type  what it means`
    found = re.findall(r"^  --(\w+)=(\S*)  (\w+)", text, re.MULTILINE)
    flags = {name: [kind, "by processors" if name in BY_PROCESSORS else value] for name, value, kind in found}
    recorded("server_flags", flags)


def test_the_exit_codes_of_all_errors(recorded):
    errors = importlib.import_module("tfs_deploy.errors")
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, BaseException)]
    recorded("exit_codes", {kind.__name__: [kind.exit_code, f"retriable: {kind.retriable}"] for kind in kinds})
