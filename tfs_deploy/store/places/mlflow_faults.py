# SPDX-License-Identifier: Apache-2.0
"""What a failure of MLflow's client means: one sentence, what to do next, and whether another try can help. Pure.

The text of a failure can hold the address with a password or a signed URL: it is shown only of registries that are
files of this machine.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tfs_deploy.errors import EnvironmentFault, ModelError, TfsDeployError, UsageError
from tfs_deploy.text import one_line

if TYPE_CHECKING:
    from tfs_deploy.deployment.address import Address

#: the variables that name the registry, in the order in which MLflow reads them
WHERE: Final = "MLFLOW_REGISTRY_URI or MLFLOW_TRACKING_URI"
_WHO: Final = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
#: registries without a scheme that are not a directory
_HOSTED: Final = ("databricks", "databricks-uc", "uc")
_PASSING: Final = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
_MISSING: Final = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
_STATUS: Final = re.compile(r"\berror code (\d{3})\b|\b(\d{3}) (?:Client|Server) Error\b|\btoo many (\d{3}) error")
_LOST: Final = ("failed with exception", "Max retries exceeded", "Connection aborted", "Read timed out")


def registry_name(uri: str) -> str:
    """Return how an error names a registry: without a name, password or query."""
    parts = urlsplit(uri)
    if _is_here(uri):
        return uri
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if host else parts.scheme or uri


def _is_here(uri: str) -> bool:
    scheme = urlsplit(uri).scheme
    return scheme in ("file", "sqlite") or (not scheme and uri not in _HOSTED)


def is_missing(code: str, text: str) -> bool:
    """Tell whether a failure says that what was asked for does not exist."""
    return code in _MISSING or (code == "INVALID_PARAMETER_VALUE" and text.rstrip(". ").endswith("not found"))


def sentence(text: str, code: str, uri: str, address: Address, doing: str) -> TfsDeployError:
    """Return the error of a failure for good.

    Args:
        text: what MLflow says.
        code: its error code, such as ``RESOURCE_DOES_NOT_EXIST``.
        uri: the registry.
        address: the model.
        doing: what the caller was at, such as ``listing versions``.
    """
    where = f"the MLflow registry at {registry_name(uri)}"
    match = _STATUS.search(text)
    status = int(match[1] or match[2] or match[3]) if match else 0
    if status in (401, 403) or code in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return EnvironmentFault(f"{where} does not permit {doing} of {address}", hint=_WHO)
    if is_missing(code, text):
        return ModelError(f"{where} does not have {address}", hint=f"check the name, and {WHERE}")
    if "unsupported URI" in text:
        hint = "install the whole of MLflow (pip install mlflow), or name the server before the database"
        return EnvironmentFault(f"{where} cannot be read by what is installed of MLflow", hint=hint)
    if _is_here(uri):
        return UsageError(f"{where} cannot be used: {one_line(text)[:700]}", hint=f"check {WHERE}")
    if not status and any(each in text for each in _LOST):
        hint = f"check the network, and the address in {WHERE}"
        return EnvironmentFault(f"{where} cannot be reached while {doing}", hint=hint, retriable=True)
    if status == 429 or status >= 500 or (not status and code in _PASSING):
        return EnvironmentFault(f"{where} failed ({status or code}) while {doing}", hint="try again", retriable=True)
    return EnvironmentFault(f"{where} refuses {doing} ({status or code})", hint=f"check {WHERE}, and its log")
