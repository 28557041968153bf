# SPDX-License-Identifier: Apache-2.0
"""All judgements together: a pure function of the facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.doctor.containers import judge_containers
from tfs_deploy.doctor.finding import Diagnosis, Finding
from tfs_deploy.doctor.machine import (
    judge_certificate,
    judge_clock,
    judge_disk,
    judge_idle_variable,
    judge_limits,
    judge_port,
    judge_store,
    judge_system,
    judge_trusted_key,
)
from tfs_deploy.doctor.packages import judge_packages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.doctor.facts import MachineFacts


def judge(facts: MachineFacts) -> Diagnosis:
    """Return the findings about the facts, in the order in which they are shown."""
    return Diagnosis(tuple(_findings(facts)))


def _findings(facts: MachineFacts) -> Iterator[Finding]:
    yield judge_system(facts.system, facts.machine)
    yield from judge_packages(facts.packages, facts.wanted)
    yield from judge_containers(facts.engine, facts.gpu, facts.wanted, facts.machine)
    for port in facts.ports:
        yield judge_port(port, facts.wanted)
    for disk in facts.disks:
        yield judge_disk(disk, facts.wanted)
    for certificate in facts.certificates:
        yield judge_certificate(certificate)
    for store in facts.stores:
        yield judge_store(store)
    for number, key in enumerate(facts.trusted, 1):
        yield judge_trusted_key(number, key)
    yield judge_limits(facts.limits)
    yield from judge_clock(facts.clock, facts.engine)
    for name, near in facts.idle_variables:
        yield judge_idle_variable(name, near)
