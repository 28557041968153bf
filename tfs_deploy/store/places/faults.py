# SPDX-License-Identifier: Apache-2.0
"""What an object store's failure means: one sentence, what to do next, and whether another try can help. Pure.

The text of a failure is never shown, since it can hold what identifies the caller (a signed URL, an access key): only
the status and the store's error code are taken out of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.deployment.address import BUCKETS
from tfs_deploy.errors import EnvironmentFault, TfsDeployError, UsageError

if TYPE_CHECKING:
    from tfs_deploy.deployment.address import Address

_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>(\w{1,60})</Code>")
_REGION: Final = re.compile(r"<Region>([\w-]{1,40})</Region>|expecting '([\w-]{1,40})'")
_KIND: Final = re.compile(r"kind: (Connect|Timeout|Request|Interrupted|Decode|Unknown)")
_THROTTLED: Final = frozenset({"SlowDown", "ServerBusy", "TooManyRequests", "RequestLimitExceeded"})
_NO_BUCKET: Final = frozenset({"NoSuchBucket", "ContainerNotFound", "InvalidBucketName"})
_REGIONS: Final = frozenset({"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"})
_SKEWED: Final = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
#: the services that hand out credentials to machines; reached only if the environment has none
_METADATA: Final = ("169.254.169.254", "metadata.google.internal", "169.254.170.2", "/metadata/identity")
#: scheme -> the variable that names who calls, the one with the secret, the one for a session, the endpoint
VARIABLES: Final = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"),
    "gs": ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_BASE_URL"),
    "az": (
        "AZURE_STORAGE_ACCOUNT_NAME",
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_STORAGE_ENDPOINT",
    ),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One failed request: its HTTP status (0: there was no answer), the store's error code, and what kind it is."""

    status: int = 0
    code: str = ""
    kind: str = ""
    region: str = ""
    without_credentials: bool = False

    @property
    def passes(self) -> bool:
        """Tell whether another try may succeed."""
        if self.without_credentials or self.kind == "other":
            return False
        return self.status in (0, 408, 409, 429) or self.status >= 500 or self.code in _THROTTLED

    @property
    def unreachable(self) -> bool:
        """Tell whether nothing listens at the address at all."""
        return self.status == 0 and self.kind == "Connect"


def understand(text: str) -> Fault:
    """Return what the text of a failure says."""
    head = text.partition("Debug source")[0]
    status, code, region, kind = (pattern.search(text) for pattern in (_STATUS, _CODE, _REGION, _KIND))
    lost = "HTTP error" in head or "error sending request" in head or "error decoding response" in text
    return Fault(
        status=int(status[1]) if status else 0,
        code=code[1] if code else "",
        kind=kind[1] if kind else "lost" if lost else "" if status else "other",
        region=(region[1] or region[2]) if region else "",
        without_credentials=any(each in text for each in _METADATA) or "MissingCredential" in text,
    )


def sentence(fault: Fault, address: Address, doing: str) -> TfsDeployError:
    """Return the error of a failure for good. ``doing``: what the caller was at, such as ``reading versions``."""
    where = f"{address.scheme}://{address.bucket}"
    about_caller = _about_caller(fault, address, doing, where)
    if about_caller is not None:
        return about_caller
    endpoint = VARIABLES[address.scheme][3]
    code = _code(fault)
    if fault.code in _NO_BUCKET:
        holder = BUCKETS[address.scheme]
        return UsageError(f"the {holder} {address.bucket!r} does not exist", hint=f"create it, or check {endpoint}")
    if fault.unreachable:
        hint = f"check the network, and the address in {endpoint}"
        return EnvironmentFault(f"{where} cannot be reached while {doing}", hint=hint, retriable=True)
    if fault.kind == "Timeout":
        return EnvironmentFault(f"{where} did not answer in time while {doing}", hint="try again", retriable=True)
    if fault.code in _THROTTLED or fault.status == 429:
        hint = "try again later, or ask for a higher limit"
        return EnvironmentFault(f"{where} slows this caller down while {doing}{code}", hint=hint, retriable=True)
    if fault.passes:
        what = f"failed{code}" if fault.status else "lost the connection"
        return EnvironmentFault(f"{where} {what} while {doing}", hint="try again", retriable=True)
    hint = f"check {endpoint} and what the store's log says"
    return EnvironmentFault(f"{where} refuses the request while {doing}{code}", hint=hint)


def _code(fault: Fault) -> str:
    return f" ({fault.code or fault.status})" if fault.code or fault.status else ""


def _about_caller(fault: Fault, address: Address, doing: str, where: str) -> TfsDeployError | None:
    """Return the error if the caller's credentials, region or clock are the cause; it names the variable."""
    who, secret, session, _ = VARIABLES[address.scheme]
    code = _code(fault)
    if fault.without_credentials:
        hint = f"set {who} and {secret} in the environment" + (
            '; for a profile: eval "$(aws configure export-credentials --format env)"' if address.scheme == "s3" else ""
        )
        return EnvironmentFault(f"there are no credentials for {where}: {who} is not set", hint=hint)
    if fault.code in _REGIONS or fault.status == 301:
        region = f": it is in {fault.region}" if fault.region else ""
        return EnvironmentFault(f"{where} is in another region than AWS_REGION says{region}", hint="set AWS_REGION")
    if fault.code in _SKEWED:
        hint = "set the clock, for example with chrony or timedatectl"
        return EnvironmentFault(f"{where} refuses the request: the clock of this machine is wrong", hint=hint)
    if fault.code in ("InvalidAccessKeyId", "InvalidClientTokenId"):
        return EnvironmentFault(f"{where} does not know the key in {who}{code}", hint=f"correct {who}")
    if fault.code in ("SignatureDoesNotMatch", "AuthenticationFailed", "InvalidAuthenticationInfo"):
        return EnvironmentFault(f"{where} refuses the secret in {secret}{code}", hint=f"correct {secret}, or {who}")
    if fault.code in ("ExpiredToken", "InvalidToken", "TokenRefreshRequired"):
        return EnvironmentFault(
            f"the session in {session} is over{code}", hint=f"get new credentials, or unset {session}"
        )
    if fault.status in (401, 403):
        hint = f"allow them to list, read and write below {address}, or set others in {who} and {secret}"
        return EnvironmentFault(f"the credentials in {who} do not permit {doing} in {where}{code}", hint=hint)
    return None
