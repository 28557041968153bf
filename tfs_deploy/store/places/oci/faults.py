# SPDX-License-Identifier: Apache-2.0
"""What a registry's failure means: one sentence, what to do next, and whether another try can help. Pure.

The text of a failure is never shown, since it can hold what identifies the caller: only the status and the registry's
error code are taken out of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import EnvironmentFault, TfsDeployError, VerdictError
from tfs_deploy.text import parse_document

if TYPE_CHECKING:
    from tfs_deploy.deployment.address import Address

#: names the registries that are spoken to without TLS, beside those of this machine
PLAIN_HTTP: Final = "TFS_DEPLOY_PLAIN_HTTP"
_CODE: Final = re.compile(r"[A-Z][A-Z_]{1,59}", re.ASCII)
_CUT: Final = "lost"


@dataclass(frozen=True, slots=True)
class Fault:
    """One failed request: its HTTP status (0: there was no answer), the registry's error code, and what kind it is.

    ``wait``: the seconds after which the registry asks to be tried again.
    """

    status: int = 0
    code: str = ""
    kind: str = _CUT
    wait: float = 0.0

    @property
    def passes(self) -> bool:
        """Tell whether another try may succeed."""
        if not self.status:
            return self.kind not in ("certificate", "no TLS", "astray")
        return self.status in (408, 429) or self.status >= 500

    @property
    def unreachable(self) -> bool:
        """Tell whether nothing listens at the address at all."""
        return not self.status and self.kind == "connect"


class Refused(Exception):  # noqa: N818 - it never reaches a caller
    """A registry answered with a status that is not the expected one."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"{fault.status} {fault.code}")
        self.fault = fault


def refusal(status: int, body: bytes, retry_after: str) -> Refused:
    """Return what an answer says: its error code, and when to try again (whole seconds; a date is left out)."""
    try:
        code = str(parse_document(body)["errors"][0]["code"])
    except (ValueError, KeyError, TypeError, IndexError):
        code = ""
    wait = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
    return Refused(Fault(status, code if _CODE.fullmatch(code) else "", wait=wait))


def no_answer(error: Exception) -> Fault:
    """Return what an error of httpx says that came instead of an answer."""
    name, text = type(error).__name__, str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return Fault(kind="certificate")
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
        return Fault(kind="no TLS")
    if name in ("InvalidURL", "UnsupportedProtocol", "TooManyRedirects"):
        return Fault(kind="astray")
    if name in ("ConnectError", "ConnectTimeout"):
        return Fault(kind="connect")
    return Fault(kind="silent" if name.endswith("Timeout") else _CUT)


def sentence(fault: Fault, address: Address, credentials: str, doing: str) -> TfsDeployError:
    """Return the error of a failure for good.

    Args:
        fault: the failure.
        address: the place.
        credentials: where those come from that were sent, empty if there were none.
        doing: what the caller was at, such as ``reading versions``.
    """
    where = f"{address.scheme}://{address.bucket}"
    code = f" ({fault.code or fault.status})" if fault.status else ""
    if not fault.status:
        return _unanswered(fault, where, address.bucket, doing)
    if fault.status in (401, 403):
        return _about_caller(fault, address, credentials, doing)
    if fault.status == 429:
        hint = "try again later, log in with docker login, or ask for a higher limit"
        return EnvironmentFault(f"{where} slows this caller down while {doing}{code}", hint=hint, retriable=True)
    if fault.passes:
        return EnvironmentFault(f"{where} failed{code} while {doing}", hint="try again", retriable=True)
    if fault.code == "DIGEST_INVALID":
        hint = "publish again when no program writes there"
        return VerdictError(f"a file changed while it was published: {where} got other bytes than announced", hint=hint)
    if fault.status == 404:
        hint = f"create the repository {address.path}: not every registry makes one when something is published"
        return EnvironmentFault(f"{address.base} does not exist while {doing}{code}", hint=hint)
    if fault.status == 405 or fault.code == "UNSUPPORTED":
        hint = "check that it is a registry of images, and what it allows"
        return EnvironmentFault(f"{where} does not offer what {doing} needs{code}", hint=hint)
    hint = "check the address, and what the registry's log says"
    return EnvironmentFault(f"{where} refuses the request while {doing}{code}", hint=hint)


def cannot_delete(address: Address) -> EnvironmentFault:
    """Return the error of a registry that keeps all it was given."""
    hint = "let its own retention remove old tags, or allow it (docker-registry: REGISTRY_STORAGE_DELETE_ENABLED=true)"
    return EnvironmentFault(f"{address.scheme}://{address.bucket} does not allow that versions are removed", hint=hint)


def _unanswered(fault: Fault, where: str, registry: str, doing: str) -> EnvironmentFault:
    if fault.kind == "certificate":
        hint = "name the certificate authority in SSL_CERT_FILE"
        return EnvironmentFault(f"the certificate of {where} is not one that this machine trusts", hint=hint)
    if fault.kind == "no TLS":
        hint = f"if it is yours, on a network that you trust, set {PLAIN_HTTP}={registry}"
        return EnvironmentFault(f"{where} does not speak TLS", hint=hint)
    if fault.kind == "astray":
        hint = "check the address, and what the registry's log says"
        return EnvironmentFault(f"{where} leads to an address that is not valid while {doing}", hint=hint)
    if fault.unreachable:
        hint = "check the address, its port, and the network"
        return EnvironmentFault(f"{where} cannot be reached while {doing}", hint=hint, retriable=True)
    what = "did not answer in time" if fault.kind == "silent" else "lost the connection"
    return EnvironmentFault(f"{where} {what} while {doing}", hint="try again", retriable=True)


def _about_caller(fault: Fault, address: Address, credentials: str, doing: str) -> EnvironmentFault:
    where = f"{address.scheme}://{address.bucket}"
    code = f" ({fault.code or fault.status})"
    login = f"docker login {address.bucket}"
    if not credentials:
        hint = f"{login}; credentials are read from config.json in DOCKER_CONFIG, or ~/.docker"
        return EnvironmentFault(f"{where} wants credentials for {doing}, and there are none{code}", hint=hint)
    if fault.status == 401:
        return EnvironmentFault(f"{where} refuses the credentials of {credentials}{code}", hint=login)
    hint = f"allow them to pull and push {address.path}, or take others: {login}"
    return EnvironmentFault(
        f"the credentials of {credentials} do not permit {doing} in {address.base}{code}", hint=hint
    )
