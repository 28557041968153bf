# SPDX-License-Identifier: Apache-2.0
"""What the failures of object stores mean, from texts as obstore 0.12 has them."""

from __future__ import annotations

import pytest

from tfs_deploy.deployment.address import parse_address
from tfs_deploy.errors import EnvironmentFault, UsageError
from tfs_deploy.store.places.faults import sentence, understand
from tfs_deploy.store.places.retry import Patience

HEAD = "Generic S3 error: Error performing GET http://h/b?X-Amz-Signature=5ecret in 1ms - "


def status(number: int, code: str = "", more: str = "") -> str:
    body = f"<Error><Code>{code}</Code><Message>5ecret</Message>{more}</Error>" if code else ""
    return f"{HEAD}Server returned non-2xx status code: {number} X: {body}\n\nDebug source:\nGeneric {{"


def lost(kind: str) -> str:
    return f"{HEAD}HTTP error: error sending request\n\nDebug source:\nHttpError {{\n kind: {kind},\n}}"


@pytest.mark.parametrize(
    ("address", "text", "passes", "kind", "words"),
    [
        (
            "s3://b/m",
            status(503, "SlowDown"),
            True,
            EnvironmentFault,
            "slows this caller down while reading (SlowDown)",
        ),
        ("s3://b/m", status(429), True, EnvironmentFault, "slows this caller down"),
        ("s3://b/m", status(500), True, EnvironmentFault, "s3://b failed (500) while reading"),
        ("s3://b/m", status(408), True, EnvironmentFault, "failed (408)"),
        ("s3://b/m", lost("Timeout"), True, EnvironmentFault, "did not answer in time"),
        ("s3://b/m", lost("Connect"), True, EnvironmentFault, "cannot be reached"),
        ("s3://b/m", lost("Request"), True, EnvironmentFault, "lost the connection"),
        ("s3://b/m", status(404, "NoSuchBucket"), False, UsageError, "the bucket 'b' does not exist"),
        ("az://c/m", status(404, "ContainerNotFound"), False, UsageError, "the container 'c' does not exist"),
        ("s3://b/m", status(403, "InvalidAccessKeyId"), False, EnvironmentFault, "AWS_ACCESS_KEY_ID"),
        ("s3://b/m", status(403, "SignatureDoesNotMatch"), False, EnvironmentFault, "AWS_SECRET_ACCESS_KEY"),
        ("az://c/m", status(403, "AuthenticationFailed"), False, EnvironmentFault, "AZURE_STORAGE_ACCOUNT_KEY"),
        ("s3://b/m", status(403, "AccessDenied"), False, EnvironmentFault, "do not permit reading"),
        ("gs://b/m", status(401), False, EnvironmentFault, "GOOGLE_SERVICE_ACCOUNT"),
        ("s3://b/m", status(403, "RequestTimeTooSkewed"), False, EnvironmentFault, "the clock of this machine"),
        (
            "s3://b/m",
            status(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
            False,
            EnvironmentFault,
            "it is in eu-west-1",
        ),
        ("s3://b/m", status(301, "PermanentRedirect"), False, EnvironmentFault, "another region"),
        (
            "s3://b/m",
            "Error performing PUT http://169.254.169.254/x",
            False,
            EnvironmentFault,
            "AWS_ACCESS_KEY_ID is not",
        ),
        ("s3://b/m", status(400, "Other"), False, EnvironmentFault, "refuses the request while reading (Other)"),
        ("s3://b/m", "something else", False, EnvironmentFault, "refuses the request"),
    ],
)
def test_each_failure_has_its_sentence(address, text, passes, kind, words):
    fault = understand(text)
    assert fault.passes is passes
    error = sentence(fault, parse_address(address), "reading")
    assert type(error) is kind
    assert words in error.message
    assert error.hint
    assert error.retriable is passes
    assert "5ecret" not in str(error)


def test_waits_double_up_to_a_limit():
    patience = Patience(first_wait=0.1, longest_wait=5.0)
    assert [patience.wait(n) for n in (1, 2, 3, 20)] == pytest.approx([0.1, 0.2, 0.4, 5.0])
