# SPDX-License-Identifier: Apache-2.0
"""Judgements of Python and its packages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfs_deploy.doctor.finding import Finding, ok, problem, skipped, warning
from tfs_deploy.doctor.versions import Requirement, compare, fits, release
from tfs_deploy.text import DISTRIBUTION, install_extra

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.doctor.facts import Packages, Wanted

#: the newest Python that this release was tested with
_NEWEST_PYTHON: Final = (3, 13)
#: the first TensorFlow with Keras 3, which export needs, and the first one built for NumPy 2 (their release notes)
_OLDEST_TENSORFLOW: Final = (2, 16)
_NUMPY_2: Final = (2, 18)
#: pairs with a finding of their own
_JUDGED: Final = {("tensorflow", "numpy"), ("tensorflow-serving-api", "tensorflow")}
_BASE: Final = ("numpy", "grpcio", "protobuf")
#: versions in which a GOAWAY with an error code from 13 on aborts the process; 1.62 to 1.83 were tried, and are not hit
GOAWAY_ABORTS: Final = frozenset({"1.84.0", "1.84.1", "1.84.2", "1.85.0", "1.85.1", "1.85.3"})
#: extras that are the sum of others
_SUMS: Final = frozenset({"all", "dev"})
#: extras that only work on tfs-deploy itself needs
_DEVELOPMENT: Final = frozenset({"dev", "docs"})


def judge_packages(facts: Packages, wanted: Wanted) -> Iterator[Finding]:
    """Yield the findings about Python, the packages and the extras."""
    yield _python(facts)
    yield _name(facts)
    yield _tensorflow(facts)
    for name in _BASE:
        yield _base(facts, name)
    yield _gencode(facts)
    yield _serving_api(facts)
    yield _conflicts(facts)
    yield from _extras(facts, wanted)


def _python(facts: Packages) -> Finding:
    needs = facts.requires_python or ">=3.10"
    if not fits(facts.python, needs):
        return problem(
            "python.version", f"Python {facts.python}, but {needs} is required", "use a Python in that range"
        )
    if release(facts.python)[:2] > _NEWEST_PYTHON:
        newest = ".".join(map(str, _NEWEST_PYTHON))
        hint = f"if something does not install or run, use Python {newest}"
        return warning("python.version", f"Python {facts.python}, newer than {newest}: not tested", hint)
    return ok("python.version", f"Python {facts.python}")


def _name(facts: Packages) -> Finding:
    name = "package.name"
    if facts.namesake is not None:
        hint = f"pip uninstall -y tfs-deploy && pip install --force-reinstall --no-deps {DISTRIBUTION}"
        detail = f"tfs-deploy {facts.namesake} is installed too, and writes into the same folder, tfs_deploy"
        return problem(name, detail, hint)
    return ok(name, f"nothing else is installed into tfs_deploy, the folder of {DISTRIBUTION}")


def _tensorflow(facts: Packages) -> Finding:
    name, version = "package.tensorflow", facts.installed.get("tensorflow")
    if version is None:
        hint = install_extra("export")
        return skipped(name, "not installed: export, run and the embedded server need it, nothing else does", hint)
    if len(facts.tensorflow_builds) > 1:
        builds = " and ".join(facts.tensorflow_builds)
        return problem(
            name,
            f"{builds} overwrite each other's files",
            f"pip uninstall -y {builds.replace(' and ', ' ')}; install one",
        )
    wants = _range(facts, "tensorflow") or f">={'.'.join(map(str, _OLDEST_TENSORFLOW))}"
    if release(version)[:2] < _OLDEST_TENSORFLOW or not fits(version, wants):
        return problem(name, f"TensorFlow {version}, but {wants} is required", f"pip install 'tensorflow{wants}'")
    return ok(name, f"TensorFlow {version}")


def _base(facts: Packages, name: str) -> Finding:
    label, version, wants = f"package.{name}", facts.installed.get(name), _range(facts, name) or ""
    tensorflow = facts.installed.get("tensorflow")
    if version is None:
        return problem(label, f"{name} is not installed", f"pip install '{name}{wants}'")
    if name == "grpcio" and version in GOAWAY_ABORTS:
        without = ",".join(f"!={each}" for each in sorted(GOAWAY_ABORTS))
        return problem(
            label,
            f"grpcio {version}: a server can end the process of a client with one GOAWAY",
            f"pip install 'grpcio>=1.62,{without}'",
        )
    if not fits(version, wants):
        return problem(label, f"{name} {version}, but {wants} is required", f"pip install '{name}{wants}'")
    if name == "numpy" and release(version) >= (2,) and tensorflow and release(tensorflow)[:2] < _NUMPY_2:
        first = ".".join(map(str, _NUMPY_2))
        return problem(
            label,
            f"numpy {version} with TensorFlow {tensorflow}, which was built for NumPy 1 and crashes with it",
            f"pip install 'numpy<2', or 'tensorflow>={first}'",
        )
    return ok(label, f"{name} {version}")


def _gencode(facts: Packages) -> Finding:
    """Generated code must not be newer than the runtime (protobuf.dev, "Cross-Version Runtime Guarantee")."""
    name, runtime = "package.gencode", facts.installed.get("protobuf")
    if runtime is None or not facts.gencode:
        return skipped(name, "no installed package has generated protobuf code that matters here")
    for package, made in facts.gencode.items():
        if compare(made, runtime) > 0:
            return problem(
                name,
                f"{package} was generated for protobuf {made}, but {runtime} is installed: importing it fails",
                f"pip install 'protobuf>={made}'",
            )
    made = ", ".join(f"{package} by {version}" for package, version in facts.gencode.items())
    return ok(name, f"generated code is not newer than protobuf {runtime}: {made}")


def _serving_api(facts: Packages) -> Finding:
    name = "package.serving-api"
    api, tensorflow = facts.installed.get("tensorflow-serving-api"), facts.installed.get("tensorflow")
    if api is None:
        return ok(name, "tensorflow-serving-api is not installed, and not needed")
    if tensorflow is None:
        hint = "pip uninstall tensorflow-serving-api: the clients of tfs-deploy do not need it"
        return warning(name, f"tensorflow-serving-api {api} without TensorFlow cannot be imported", hint)
    sign = compare(".".join(map(str, release(api)[:2])), ".".join(map(str, release(tensorflow)[:2])))
    hint = f"pip install 'tensorflow-serving-api=={'.'.join(map(str, release(tensorflow)[:2]))}.*', or uninstall it"
    if sign > 0:
        return problem(
            name, f"tensorflow-serving-api {api} needs TensorFlow {api}, but {tensorflow} is installed", hint
        )
    if sign < 0:
        return warning(name, f"tensorflow-serving-api {api} is older than TensorFlow {tensorflow}", hint)
    return ok(name, f"tensorflow-serving-api {api}, as TensorFlow")


def _conflicts(facts: Packages) -> Finding:
    name, needed = "package.conflicts", _needed(facts)
    found = {package: list(_unmet(facts, package)) for package in facts.requires}
    ours = [line for package, lines in found.items() if package in needed for line in lines]
    others = [line for package, lines in found.items() if package not in needed for line in lines]
    if ours:
        return problem(name, _shown([*ours, *others]), "`pip check` lists them; reinstall these packages together")
    if others:
        hint = "nothing here needs these packages; `pip check` lists what theirs need"
        return warning(name, _shown(others), hint)
    return ok(name, f"the requirements of {len(facts.requires)} packages are met")


def _needed(facts: Packages) -> set[str]:
    """Return what tfs-deploy requires, also for its extras but those of its own development, and what that requires."""
    own = [each for each in map(Requirement.parse, facts.own or ()) if each is not None]
    needed, ahead = set(), {*_BASE, "tensorflow", *(each.name for each in own if each.extra() not in _DEVELOPMENT)}
    while ahead:
        package = ahead.pop()
        needed.add(package)
        parts = map(Requirement.parse, facts.requires.get(package, ()))
        ahead |= {part.name for part in parts if part is not None and part.extra() is None} - needed
    return needed


def _unmet(facts: Packages, package: str) -> Iterator[str]:
    for needed in filter(None, map(Requirement.parse, facts.requires[package])):
        if (package, needed.name) in _JUDGED or not needed.applies(facts.environment):
            continue
        version = facts.installed.get(needed.name)
        if version is None or not fits(version, needed.range):
            has = "is not installed" if version is None else f"is {version}"
            yield f"{package} {facts.installed.get(package, '')} needs {needed.name}{needed.range}, it {has}"


def _shown(conflicts: list[str]) -> str:
    return "; ".join(conflicts[:3]) + (f" (and {len(conflicts) - 3} more)" if len(conflicts) > 3 else "")


def _extras(facts: Packages, wanted: Wanted) -> Iterator[Finding]:
    if facts.own is None:
        hint = f"pip install {DISTRIBUTION}, or pip install -e . in its source tree"
        yield skipped(
            "extras", f"{DISTRIBUTION} runs from a source tree and is not installed: its extras are unknown", hint
        )
        return
    needed = {"embedded": "server", "docker": "docker"}.get(wanted.target or "")
    for extra in facts.extras:
        if extra in _SUMS:
            continue
        members = [each for each in map(Requirement.parse, facts.own) if each is not None and each.extra() == extra]
        yield _extra(facts, extra, members, wanted=extra == needed)


def _extra(facts: Packages, extra: str, members: list[Requirement], *, wanted: bool) -> Finding:
    name, hint = f"extra.{extra}", install_extra(extra)
    missing = [each.name for each in members if each.name not in facts.installed]
    if missing:
        detail = f"not installed: {', '.join(missing)}"
        return problem(name, f"{detail}; the deployment file needs it", hint) if wanted else skipped(name, detail, hint)
    wrong = [each for each in members if not fits(facts.installed[each.name], each.range)]
    if wrong:
        shown = ", ".join(f"{each.name} {facts.installed[each.name]} (required: {each.range})" for each in wrong)
        return (warning if extra in _DEVELOPMENT else problem)(name, shown, hint)
    return ok(name, ", ".join(f"{each.name} {facts.installed[each.name]}" for each in members))


def _range(facts: Packages, name: str) -> str | None:
    """Return the range in which tfs-deploy wants a package, by itself or for an extra."""
    for each in map(Requirement.parse, facts.own or ()):
        if each is not None and each.name == name:
            return each.range
    return None
