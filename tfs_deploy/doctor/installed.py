# SPDX-License-Identifier: Apache-2.0
"""What is installed, read from the packages' metadata: nothing is imported, TensorFlow least of all."""

from __future__ import annotations

import platform
import re
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Final

from tfs_deploy.doctor.facts import Packages
from tfs_deploy.doctor.versions import Requirement
from tfs_deploy.text import DISTRIBUTION, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

#: a Terraform helper on PyPI that has an import package ``tfs_deploy``, and this project before 0.2.0
_NAMESAKE: Final = "tfs-deploy"
#: distributions that bring the package ``tensorflow``
_BUILDS: Final = ("tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tensorflow-rocm", "tf-nightly")
#: not needed, and known to disagree with TensorFlow
_BESIDE: Final = ("tensorflow-serving-api", "grpcio-tools", "grpcio-status", "keras", "ml-dtypes")
#: one generated module for each package whose messages TensorFlow programs import
_GENERATED: Final = {
    "tensorflow": "tensorflow/core/framework/graph_pb2.py",
    "tensorflow-serving-api": "tensorflow_serving/apis/predict_pb2.py",
}
_MADE_BY: Final = re.compile(r"^# Protobuf Python Version: (\S+)", re.MULTILINE)


def installed_packages() -> Packages:
    """Return what there is of the packages that matter here, and what each of them asks for."""
    own = _find(DISTRIBUTION)
    lines = None if own is None else tuple(own.requires or ())
    builds = {name: each for name in _BUILDS if (each := _find(name)) is not None}
    direct = {each.name for each in map(Requirement.parse, lines or ()) if each is not None} - {"tensorflow"}
    found = {name: each for name in sorted({*direct, *_BESIDE}) if (each := _find(name)) is not None}
    if builds:
        found["tensorflow"] = next(iter(builds.values()))
    requires = {name: tuple(each.requires or ()) for name, each in found.items()}
    needed = {each.name for part in requires.values() for each in map(Requirement.parse, part) if each is not None}
    return Packages(
        python=platform.python_version(),
        installed=_versions(found, needed),
        own=lines,
        requires_python=own.metadata["Requires-Python"]
        if own is not None and "Requires-Python" in own.metadata
        else None,
        namesake=_namesake(),
        extras=() if own is None else tuple(own.metadata.get_all("Provides-Extra") or ()),
        requires=requires,
        gencode=_generated(found),
        tensorflow_builds=tuple(builds),
        environment={
            "python_version": ".".join(platform.python_version_tuple()[:2]),
            "python_full_version": platform.python_version(),
            "sys_platform": sys.platform,
            "platform_system": platform.system(),
            "platform_machine": platform.machine(),
            "platform_python_implementation": platform.python_implementation(),
            "implementation_name": sys.implementation.name,
        },
    )


def _find(name: str) -> metadata.Distribution | None:
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    # What an interrupted uninstall leaves has a directory and no metadata.
    return found if found.metadata and "Version" in found.metadata else None


def _namesake() -> str | None:
    """Return version and summary of another distribution that fills the folder ``tfs_deploy``, if there is one."""
    found = _find(_NAMESAKE)
    if found is None:
        return None
    summary = one_line(" ".join(found.metadata.get_all("Summary") or ()))
    return f"{found.version} ({summary})" if summary else found.version


def _versions(found: dict[str, metadata.Distribution], more: Iterable[str]) -> dict[str, str]:
    versions = {name: each.version for name, each in found.items()}
    for name in more:
        if name not in versions and (each := _find(name)) is not None:
            versions[name] = each.version
    return versions


def _generated(found: dict[str, metadata.Distribution]) -> dict[str, str]:
    """Return which protobuf made a package's messages, as their first lines say; older ones say nothing."""
    made = {}
    for name, path in _GENERATED.items():
        if name not in found:
            continue
        try:
            with open(str(found[name].locate_file(path)), encoding="utf-8") as file:  # noqa: PTH123 - any kind of path
                match = _MADE_BY.search(file.read(500))
        except OSError:
            continue
        if match is not None:
            made[name] = match[1]
    return made
