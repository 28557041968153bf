# SPDX-License-Identifier: Apache-2.0
"""Why there is no TLS connection, in one sentence with the remedy, from what OpenSSL and BoringSSL say."""

from __future__ import annotations

import re
from typing import Final

from tfs_deploy.errors import StatusError, UnavailableError

_SHOW: Final = "openssl s_client -connect {target} -showcerts shows it"
#: What is in the text of the library -> message, hint; the first that fits. The names of alerts are those that the
#: server sends, the others are found by the client itself.
_REASONS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), message, hint)
    for pattern, message, hint in (
        (
            r"alert.certificate.required|PEER_DID_NOT_RETURN_A_CERTIFICATE",
            "{target} requires a client certificate",
            "give one and its key: Tls(certificate=..., key=...)",
        ),
        (
            r"alert.certificate.expired",
            "{target} refuses the client's certificate: it has expired",
            "renew the client's certificate",
        ),
        (
            r"alert.(unknown.ca|bad.certificate|certificate.(unknown|revoked)|access.denied|unsupported.certificate)",
            "{target} does not trust the client's certificate",
            "give a certificate of an authority that the server trusts (custom_ca of its SSL config, ssl.ca)",
        ),
        (
            r"create security handshaker",
            "a certificate or key of the client is damaged",
            "are the files whole? openssl x509 -in FILE -text shows a certificate",
        ),
        (
            r"certificate has expired",
            "the certificate of {target} has expired",
            f"renew the server's certificate and restart the server; {_SHOW}",
        ),
        (
            r"certificate is not yet valid",
            "the certificate of {target} is not valid yet",
            f"is the clock of this machine right? {_SHOW}",
        ),
        (
            r"not in peer certificate|hostname.verification|(hostname|ip address) mismatch|not valid for|doesn't match",
            "the certificate of {target} is for another name",
            f"give the name in the certificate, Tls(name=...), or call the server by it; {_SHOW}",
        ),
        (
            r"self.signed|unable to get (local )?issuer|unable to verify the first|unknown.ca",
            "the certificate of {target} is not of a trusted authority",
            f"give the certificate of the authority, Tls(ca=...), or the self-signed one itself; {_SHOW}",
        ),
        (
            r"wrong.version.number|http.request|record.layer.failure|unexpected.message",
            "{target} does not speak TLS",
            "drop tls (https://), or give the port of the server that speaks TLS",
        ),
        (
            r"alert.protocol.version|unsupported.protocol|no.shared.cipher|alert.handshake.failure",
            "{target} and this client have no version or cipher of TLS in common, or it requires a client certificate",
            f"if it does, give one: Tls(certificate=..., key=...); {_SHOW}",
        ),
    )
)
#: what the libraries put around their reasons
_NOISE: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"(Tls|Ssl) handshake failed \(TSI_PROTOCOL_FAILURE\): ",
        r"SSL_ERROR_SSL: |error:[0-9a-f]+:SSL routines:OPENSSL_internal:|: OK$",
        r"\[SSL: \w+\] | \(_ssl\.c:\d+\)",
        r"\.$",
    )
)


def tls_error(target: str, reason: str) -> StatusError:
    """Return the error for a handshake that failed, or for a connection that ended with an alert of TLS."""
    for pattern, message, hint in _REASONS:
        if pattern.search(reason):
            said = f"{message.format(target=target)}: {_quiet(reason)}"
            return UnavailableError(said, hint=hint.format(target=target), retriable=False, reached=False)
    return UnavailableError(
        f"no TLS connection to {target}: {reason}",
        hint="compare the server's certificate with the credentials (authority, host name, client certificate)",
        retriable=False,
        reached=False,
    )


def _quiet(reason: str) -> str:
    for noise in _NOISE:
        reason = noise.sub("", reason)
    return reason
