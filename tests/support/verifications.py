# SPDX-License-Identifier: Apache-2.0
"""Verifications for the tests of reports."""

from __future__ import annotations

from pathlib import Path

from tfs_deploy.protos.signatures import PREDICT_METHOD, SignatureInfo, TensorSpec
from tfs_deploy.store.identity import Identity
from tfs_deploy.verify.checks import Check, CheckStatus
from tfs_deploy.verify.measure.load_test_result import LoadTestResult
from tfs_deploy.verify.subjects import Subject
from tfs_deploy.verify.verification import Evidence, ValueDifference, Verification

#: text that markup must not take for its own
NASTY = 'no: <b>&"x"</b> | \x00 and \ud800'


def verification(*checks: Check) -> Verification:
    spec = TensorSpec("x", "float32", (None, 2))
    signature = SignatureInfo("serving_default", PREDICT_METHOD, {"x": spec}, {"y<i>": spec})
    evidence = Evidence(
        {"m 1": {"serving_default": signature}},
        [ValueDifference("m 1", "embedded", "serving_default", "grpc and rest", "y<i>", 2e-7, 1e-6)],
        [LoadTestResult("m 1", "embedded", "4 callers", tuple(n / 1000 for n in range(1, 200)), 0, 2.0, 10**8, 0.5)],
    )
    subject = Subject("m", 1, Path("/models/m/1"))
    identity = Identity("0123456789abcdef", "manifest")
    return Verification((subject,), (identity,), ("embedded",), checks, evidence, "2026-01-01T00:00:00+00:00", 3.0)


def check(identity: str, status: CheckStatus, reason: str = "why", about: str = "serving_default", **more) -> Check:
    return Check(identity, "m 1", about, more.pop("target", "embedded"), status, reason, **more)


MIXED = verification(
    check("files.lint", CheckStatus.PASSED, target=""),
    check("smoke.recorded", CheckStatus.FAILED, NASTY, seconds=0.25, measured=1.5, unit="difference"),
    check("parity.grpc-rest", CheckStatus.SKIPPED, "no <REST>"),
)
