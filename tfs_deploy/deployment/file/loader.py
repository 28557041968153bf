# SPDX-License-Identifier: Apache-2.0
"""Reading a deployment file: every problem in it at once, in file order."""

from __future__ import annotations

import copy
import os.path
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from tfs_deploy.deployment.file.advice import advise
from tfs_deploy.deployment.file.checks import check_file
from tfs_deploy.deployment.file.conversion import to_deployment
from tfs_deploy.deployment.file.disk import check_disk as disk_findings
from tfs_deploy.deployment.file.messages import explain, nearest_keys, path_text
from tfs_deploy.deployment.file.schema import DeploymentFile
from tfs_deploy.deployment.file.state_place import check_state, check_state_on_disk
from tfs_deploy.deployment.file.yaml_reader import ParsedYaml, read_yaml
from tfs_deploy.errors import EnvironmentFault, Problem, SpecError, UsageError, file_hint
from tfs_deploy.host.regular_file import read_regular
from tfs_deploy.text import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic_core import ErrorDetails

    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.deployment.file.yaml_reader import KeyPath

    #: (path, message) -> line
    Findings = dict[tuple[KeyPath, str], int]

#: replaces required values that were refused, so that the rest of the file can still be checked
_STAND_IN: Final = dict.fromkeys(("name", "base_path", "image", "key", "cert", "source"), "?")
#: model keys without which the disk cannot be judged
_LOCATING: Final = ((), ("base_path",), ("versions",))
#: the key ``models`` at the top of a file, which need not be valid
_MODELS: Final = re.compile(rb"""^["']?models["']?\s*:|^\{.*\bmodels["']?\s*:""", re.MULTILINE)
_NUL: Final = "holds the character NUL, which no path or name may have"


def load(path: str | Path, *, check_disk: bool, allow_latest: bool) -> Deployment:
    """See ``tfs_deploy.deployment.file.load_deployment``."""
    return _load(Path(path), check_disk=check_disk, allow_latest=allow_latest or not check_disk)[0]


def load_with_advice(
    path: str | Path, *, check_disk: bool, allow_latest: bool, in_force: Callable[[Deployment], Deployment]
) -> tuple[Deployment, list[Problem]]:
    """See ``tfs_deploy.deployment.file.load_with_advice``."""
    source = Path(path)
    deployment, parsed = _load(source, check_disk=check_disk, allow_latest=allow_latest)
    warnings = {item: parsed.line(item[0]) for item in advise(deployment, in_force(deployment))}
    return deployment, _problems(source, warnings)


def problems_of(document: dict[str, Any], source: str, lines: dict[KeyPath, int]) -> list[Problem]:
    """See ``tfs_deploy.deployment.file.problems_of``."""
    try:
        _checked(Path(source), ParsedYaml(document, lines), check_disk=False, allow_latest=True)
    except SpecError as error:
        return error.problems
    return []


def _load(source: Path, *, check_disk: bool, allow_latest: bool) -> tuple[Deployment, ParsedYaml]:
    parsed = read_yaml(_read(source), "deployment file")
    return _checked(source, parsed, check_disk=check_disk, allow_latest=allow_latest), parsed


def _with_nul(value: Any, place: KeyPath) -> Iterator[KeyPath]:
    """Find keys and texts that hold NUL, which no path or name of the system may have."""
    if isinstance(value, str) and "\0" in value:
        yield place
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield from _with_nul(key, (*place, key))
        yield from _with_nul(inner, (*place, key))


def _checked(source: Path, parsed: ParsedYaml, *, check_disk: bool, allow_latest: bool) -> Deployment:
    findings: Findings = {(place, message): line for line, place, message in parsed.problems}
    if not isinstance(parsed.data, dict):
        raise _error(source, findings or _not_a_mapping(parsed))
    if nul := dict.fromkeys(_with_nul(parsed.data, ())):
        # every rule about paths would stumble over it
        raise _error(source, {(place, _NUL): parsed.line(place) for place in nul})
    file, unknown = _validate(parsed, findings)
    if file is None:
        raise _error(source, findings)
    deployment = to_deployment(file, Path(os.path.abspath(source)))  # noqa: PTH100 - resolve() would follow links
    found = list(check_file(file, unknown, parsed.line, allow_latest=allow_latest))
    found += check_state(file, deployment, unknown)
    if check_disk:
        hidden = {path[:2] for path in unknown if path[2:3] in _LOCATING}
        refused = unknown | {place for place, _ in found}
        on_disk = [*disk_findings(deployment), *check_state_on_disk(file, deployment)]
        found += [item for item in on_disk if item[0][:2] not in hidden and item[0] not in refused]
    if findings or found:
        raise _error(source, findings | {item: parsed.line(item[0]) for item in found})
    return deployment


def _read(source: Path) -> str:
    try:
        return read_regular(source).decode("utf-8-sig")
    except FileNotFoundError:
        raise _not_found(source) from None
    except IsADirectoryError:
        raise UsageError(f"{source} is a directory, not a deployment file", hint=_files_in(source)) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        message = f"not UTF-8 text: byte 0x{byte:02x}"
        raise SpecError([Problem(str(source), line, "", message)], hint="save it as UTF-8") from None
    except OSError as error:
        raise EnvironmentFault(f"{source} cannot be read: {error.strerror}", hint=file_hint(error)) from error


def _not_found(source: Path) -> UsageError:
    beside = {path.stem: path for path in _deployment_files(source.parent)}
    near = closest(source.stem, beside)
    hint = _files_in(source.parent) if near is None else f"did you mean {beside[near]}?"
    return UsageError(f"deployment file {source} does not exist", hint=hint)


def _deployment_files(folder: Path) -> list[Path]:
    """Return the YAML files of a folder with the key ``models`` at the top, which others (of hooks, actions) lack."""
    found = sorted(path for path in folder.glob("*.y*ml") if path.is_file()) if folder.is_dir() else []
    return [path for path in found if _has_models(path)]


def _has_models(path: Path) -> bool:
    try:
        return _MODELS.search(read_regular(path)) is not None
    except OSError:
        return False


def _files_in(folder: Path) -> str:
    names = ", ".join(path.name for path in _deployment_files(folder))
    return f"deployment files in {folder}: {names or 'none'}"


def _not_a_mapping(parsed: ParsedYaml) -> Findings:
    if parsed.data is None:
        return {((), "is empty: a deployment file has at least the keys name and models"): 1}
    what = "a list" if isinstance(parsed.data, list) else "a single value"
    return {((), f"must be a mapping with keys such as name, server and models, not {what}"): parsed.line(())}


def _validate(parsed: ParsedYaml, findings: Findings) -> tuple[DeploymentFile | None, set[KeyPath]]:
    """Validate the sections; refused values are replaced or removed so that one mistake does not hide another.

    Returns the file as far as it can be understood, and the paths at which something is missing from it.
    """
    data = parsed.data
    named = {place for place, _ in findings}
    unknown: set[KeyPath] = set()
    for _ in range(4):
        file, errors = _attempt(data)
        if file is not None:
            return file, unknown
        data = copy.deepcopy(data) if data is parsed.data else data
        for place, message in map(explain, errors):
            if place not in named and not any(place[: len(known)] == known for known in unknown):
                findings[place, message] = parsed.line(place)
        # From the end, so that what is removed from a list does not move what is still to be removed.
        for error in reversed(errors):
            unknown |= _repair(data, error["loc"], extra=error["type"] == "extra_forbidden")
    return None, unknown


def _attempt(data: Any) -> tuple[DeploymentFile | None, list[ErrorDetails]]:
    try:
        return DeploymentFile.model_validate(data), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


def _repair(data: Any, place: KeyPath, *, extra: bool) -> set[KeyPath]:
    """Remove the value at ``place`` or put a stand-in there; return the paths that are not known any more."""
    if place == ("models",):
        data["models"] = [dict(_STAND_IN)]
        return {place, ("models", 0), ("models", 0, "name"), ("models", 0, "base_path")}
    if place[:1] == ("models",) and len(place) == 2:
        data["models"][place[1]] = dict(_STAND_IN)
        return {place, (*place, "name"), (*place, "base_path")}
    if place[2:3] == ("versions",):
        place = place[:3]
    parent = data
    for part in place[:-1]:
        parent = parent[part]
    key: Any = place[-1]
    if key in _STAND_IN and not extra:
        parent[key] = _STAND_IN[key]
    elif isinstance(parent, dict):
        parent.pop(key, None)
    else:
        del parent[key]
    # A misspelt key leaves the one that was meant unknown.
    return {(*place[:-1], meant) for meant in nearest_keys(place) if meant not in parent} if extra else {place}


def _error(source: Path, findings: Findings) -> SpecError:
    hint = f"correct the file, then check it with: tfs-deploy config {source} --check"
    return SpecError(_problems(source, findings), hint=hint)


def _problems(source: Path, findings: Findings) -> list[Problem]:
    ordered = sorted((line, path_text(place), message) for (place, message), line in findings.items())
    return [Problem(str(source), line, place, message) for line, place, message in ordered]
