# SPDX-License-Identifier: Apache-2.0
"""One version on one server, as every group of checks gets it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tfs_deploy.verify.probing.call_plan import LEVELS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.protos.signatures import SignatureInfo
    from tfs_deploy.verify.checks import Checker
    from tfs_deploy.verify.probing.call_plan import CallPlan
    from tfs_deploy.verify.probing.cases import Case
    from tfs_deploy.verify.probing.prober import Prober
    from tfs_deploy.verify.serving import ServingEndpoint
    from tfs_deploy.verify.subjects import Subject
    from tfs_deploy.verify.verification import Evidence


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """A version that its server has loaded.

    Attributes:
        subject: the version.
        signatures: those of its files, by name.
        endpoint: the server.
        prober: sends requests and keeps every answer for the groups that follow.
        checker: makes the checks.
        evidence: what the report shows beside the checks; groups add to it.
        cases: the requests for each signature.
        plans: how thoroughly each signature is asked, by what one of its rows costs.
    """

    subject: Subject
    signatures: Mapping[str, SignatureInfo]
    endpoint: ServingEndpoint
    prober: Prober
    checker: Checker
    evidence: Evidence
    cases: Mapping[str, Sequence[Case]] = field(default_factory=dict)
    plans: Mapping[str, CallPlan] = field(default_factory=dict)

    def plan(self, signature: str) -> CallPlan:
        """Return how thoroughly a signature is asked."""
        return self.plans.get(signature, LEVELS[0])
