# SPDX-License-Identifier: Apache-2.0
"""Run a verification: every version, on every target, group by group."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfs_deploy.errors import LaunchError, ModelError, UsageError
from tfs_deploy.savedmodel.goldens import read_goldens
from tfs_deploy.store.identity import identify
from tfs_deploy.verify.checks import GROUPS, Check, Checker, failed, passed, skipped
from tfs_deploy.verify.groups.behaviour import verify_baseline_labels, verify_behaviour
from tfs_deploy.verify.groups.data import DataSettings, require_fit, verify_data
from tfs_deploy.verify.groups.files import verify_files
from tfs_deploy.verify.groups.load import is_refusal, load_timeout, record_refusal, require_rest, verify_load
from tfs_deploy.verify.groups.load_test import NO_LOAD, LoadSettings, require_measurable, verify_under_load
from tfs_deploy.verify.groups.parity import verify_parity
from tfs_deploy.verify.groups.policy import verify_policy, verify_required_groups
from tfs_deploy.verify.groups.refusals import verify_refusals
from tfs_deploy.verify.groups.smoke import choose_cases, verify_smoke
from tfs_deploy.verify.groups.smoke_empty_batch import verify_empty_batches
from tfs_deploy.verify.groups.smoke_inference import verify_inference
from tfs_deploy.verify.probing.call_plan import LEVELS, measured_cost, plan_calls
from tfs_deploy.verify.probing.local_runner import LocalRunner
from tfs_deploy.verify.probing.prober import Prober
from tfs_deploy.verify.probing.warmup_cases import warmup_cases, warmup_requests
from tfs_deploy.verify.served_version import ServedVersion
from tfs_deploy.verify.serving import ServingEndpoint, serving, traits_on, workspace
from tfs_deploy.verify.staging import staged_models
from tfs_deploy.verify.verification import Evidence, Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tfs_deploy.deployment import Deployment
    from tfs_deploy.savedmodel.goldens import Golden
    from tfs_deploy.savedmodel.inspect import SavedModelInfo
    from tfs_deploy.savedmodel.lint.policy import Policy
    from tfs_deploy.store.identity import Identity
    from tfs_deploy.verify.probing.call_plan import CallPlan
    from tfs_deploy.verify.probing.cases import Case
    from tfs_deploy.verify.serving import VerificationTarget
    from tfs_deploy.verify.subjects import Subject

    #: the versions that can be served, with what their files hold
    Readable = dict[Subject, SavedModelInfo]


@dataclass(frozen=True, slots=True)
class VerificationPlan:
    """What to verify, and how.

    Attributes:
        subjects: the versions.
        targets: the servers, one after the other.
        template: the deployment file whose server settings apply, if there is one.
        timeout: timeout per request, in seconds.
        load_timeout: seconds that a server may take to load all models; ``None``: by their size.
        excluded_checks: ids and groups of checks that are not made.
        ignore: lint rules that are not applied.
        load: the load test; 0 seconds: no load test.
        data: the data set and the limits of its metrics, if there is one.
        policy: what a version may hold, if there is one.
        trust: PEM files; one of these keys must have signed a version. None: signatures are not looked at.
        revoked: digests (hex) of versions that are refused.
    """

    subjects: tuple[Subject, ...]
    targets: tuple[VerificationTarget, ...]
    template: Deployment | None = None
    timeout: float = 10.0
    load_timeout: float | None = None
    excluded_checks: frozenset[str] = frozenset()
    ignore: tuple[str, ...] = ()
    load: LoadSettings = NO_LOAD
    data: DataSettings | None = None
    policy: Policy | None = None
    trust: tuple[Path, ...] = ()
    revoked: tuple[str, ...] = ()


def verify(
    plan: VerificationPlan,
    watch: Callable[[Check], None] = lambda _: None,
    progress: Callable[[int], None] = lambda _: None,
    forecast: Callable[[float], None] = lambda _: None,
) -> Verification:
    """Make all checks and return the verification.

    Args:
        plan: what to verify, and how.
        watch: called with each check as soon as it is made.
        progress: called with the number of rows of the data set that were just answered.
        forecast: called with the seconds that the next requests will take, once they are known.

    Raises:
        EnvironmentFault: a server cannot be started on this machine, or the server at an address does not answer.
        UsageError: the plan contradicts itself.
    """
    own_server = all(target.kind != "address" for target in plan.targets)
    baseline = all(subject.baseline is not None for subject in plan.subjects)
    if plan.data is not None and len(plan.subjects) > 1:
        raise UsageError("a data set belongs to one version", hint="name the model with --model, or give its directory")
    require_measurable(plan.load, baseline=baseline, own_server=own_server)
    return _Run(plan, watch, progress, forecast).verify()


class _Run:
    """A verification in progress."""

    def __init__(
        self,
        plan: VerificationPlan,
        watch: Callable[[Check], None],
        progress: Callable[[int], None],
        forecast: Callable[[float], None],
    ) -> None:
        self._plan = plan
        self._checks: list[Check] = []
        self._watch = watch
        self._progress = progress
        self._forecast = forecast
        self._evidence = Evidence()
        self._checker = Checker(self._sink, excluded_checks=plan.excluded_checks)

    def verify(self) -> Verification:
        plan, began = self._plan, time.monotonic()
        created_at = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
        # The local model loads while the files are hashed and the server starts.
        with contextlib.ExitStack() as stack:
            early = {
                subject: stack.enter_context(LocalRunner(subject.path))
                for subject in plan.subjects[:1]
                if self._needs_local_model()
            }
            readable: Readable = {}
            server = traits_on(plan.template, plan.targets)
            for subject in plan.subjects:
                checker = self._checker.of(model=str(subject))
                info = verify_files(checker, subject, plan.ignore, server, plan.trust, plan.revoked)
                if info is not None:
                    verify_policy(checker, info, plan.policy)
                    readable[subject] = info
                    self._evidence.signatures[str(subject)] = info.signatures
                    if plan.data is not None and self._checker.wants("data"):
                        require_fit(info.signatures, plan.data)
            identities = tuple(_identity(subject) if subject in readable else None for subject in plan.subjects)
            for target in plan.targets if self._needs_server() else ():
                self._on_target(target, readable, early)
            for subject in plan.subjects:
                verify_required_groups(self._checker.of(model=str(subject)), self._checks, plan.policy)
        return Verification(
            subjects=plan.subjects,
            identities=identities,
            targets=tuple(target.name for target in plan.targets),
            checks=tuple(self._checks),
            evidence=self._evidence,
            created_at=created_at,
            seconds=time.monotonic() - began,
            excluded_checks=tuple(sorted(plan.excluded_checks)),
            policy=plan.policy,
        )

    def _needs_server(self) -> bool:
        """Return whether any check needs a server."""
        return any(self._checker.wants(group) for group in GROUPS if group not in ("files", "policy"))

    def _needs_local_model(self) -> bool:
        """Return whether the model also runs in a local process; only that needs TensorFlow here."""
        return self._checker.wants("parity") and self._needs_server()

    def _sink(self, check: Check) -> None:
        self._checks.append(check)
        self._watch(check)

    def _on_target(self, target: VerificationTarget, readable: Readable, early: Mapping[Subject, LocalRunner]) -> None:
        checker = self._checker.of(target=target.name)
        for subject in self._plan.subjects:
            if subject not in readable:
                reason = skipped("its files cannot be read, so there is nothing to load")
                checker.of(model=str(subject)).record("load.served", "", reason)
        if not readable:
            return
        limit = self._plan.load_timeout
        if limit is None:
            limit = load_timeout(sum(info.variable_bytes + info.pb_bytes for info in readable.values()))
        began = time.monotonic()
        with workspace() as folder:
            models = staged_models(readable, folder, with_baseline=self._plan.load.relative)
            try:
                with serving(target, models, self._plan.template, folder, timeout=limit) as endpoint:
                    for subject, info in readable.items():
                        with self._runner(subject, early) as local:
                            self._on_endpoint(
                                checker.of(model=str(subject)), subject, info, endpoint=endpoint, local=local
                            )
            except LaunchError as error:
                if not is_refusal(error):
                    raise
                record_refusal(checker, readable, error, time.monotonic() - began)

    @contextlib.contextmanager
    def _runner(self, subject: Subject, early: Mapping[Subject, LocalRunner]) -> Iterator[LocalRunner | None]:
        if subject in early or not self._needs_local_model():
            yield early.get(subject)
            return
        with LocalRunner(subject.path) as runner:
            yield runner

    def _verify_version(self, version: ServedVersion) -> None:
        """Run the groups that send requests, in their order."""
        verify_smoke(version)
        verify_inference(version)
        # a model that answers at random differs from itself before it differs between transports
        verify_behaviour(version)
        baseline = version.subject.baseline
        if baseline is not None and self._needs_local_model():
            verify_baseline_labels(version, baseline)
        verify_parity(version)
        verify_refusals(version)
        verify_data(version, self._plan.data, self._progress)
        verify_under_load(version, self._plan.load)
        verify_empty_batches(version)

    def _on_endpoint(
        self,
        checker: Checker,
        subject: Subject,
        info: SavedModelInfo,
        *,
        endpoint: ServingEndpoint,
        local: LocalRunner | None,
    ) -> None:
        """Make all checks of one version on one server."""
        with contextlib.ExitStack() as stack:
            grpc = stack.enter_context(endpoint.grpc(self._plan.timeout))
            rest = endpoint.rest(self._plan.timeout)
            if rest is not None:
                stack.enter_context(rest)
            seconds = endpoint.start_seconds
            if not verify_load(checker, subject, grpc, signatures=info.signatures, start_seconds=seconds):
                return
            if rest is not None and endpoint.server is None:
                require_rest(subject, rest)
            prober = Prober(
                subject.name, subject.version, grpc=grpc, rest=rest, local=local, timeout=self._plan.timeout
            )
            stack.callback(prober.close)
            cases = _cases(checker, prober, info)
            if checker.wants("parity"):  # first calls take longest: the local model's beside the server's
                prober.begin_local([own[0] for own in cases.values() if own])
            plans = self._plan_calls(prober, cases)
            kept = {name: plans[name].kept(own) for name, own in cases.items()}
            _record_left_out(checker, cases, plans)
            if checker.wants("parity"):
                prober.begin_local([case for name, own in kept.items() for case in plans[name].everywhere_of(own)])
            self._verify_version(
                ServedVersion(
                    subject=subject,
                    signatures=info.signatures,
                    endpoint=endpoint,
                    prober=prober,
                    checker=checker,
                    evidence=self._evidence,
                    cases=kept,
                    plans=plans,
                )
            )
            _check_survival(checker, endpoint)

    def _plan_calls(self, prober: Prober, cases: Mapping[str, Sequence[Case]]) -> dict[str, CallPlan]:
        """Decide how thoroughly each signature is asked, and tell how long that will take."""
        if not any(map(self._checker.wants, ("smoke", "behaviour", "parity"))):
            return dict.fromkeys(cases, LEVELS[0])
        transports = len(prober.transports)
        plans = {name: plan_calls(measured_cost(prober, own), own, transports) for name, own in cases.items()}
        self._forecast(sum(plans[name].rows(own, transports) * plans[name].cost for name, own in cases.items()))
        return plans


def _identity(subject: Subject) -> Identity | None:
    try:
        return identify(subject.path)
    except ModelError:  # the manifest is damaged: ``files.manifest`` reports it
        return None


def _cases(checker: Checker, prober: Prober, info: SavedModelInfo) -> dict[str, list[Case]]:
    goldens: list[Golden] = []
    try:
        goldens = read_goldens(info.path)
    except ModelError as error:
        checker.record("smoke.recorded", "", failed(error.message))
    requests = warmup_requests(info.path)
    return {
        name: choose_cases(prober, signature, goldens, info.features(name), warmup_cases(signature, requests))
        for name, signature in info.signatures.items()
    }


def _record_left_out(checker: Checker, cases: Mapping[str, Sequence[Case]], plans: Mapping[str, CallPlan]) -> None:
    """Say which requests are not sent, and why."""
    for name, own in cases.items():
        kept = plans[name].kept(own)
        for case in own:
            if case not in kept:
                checker.record("smoke.made-up", str(case), skipped(plans[name].why))


def _check_survival(checker: Checker, endpoint: ServingEndpoint) -> None:
    """Report whether the server survived all requests."""
    server = endpoint.server
    if server is None:
        return
    if server.alive():
        checker.record("load.survived", "", passed("the server is still running"))
        return
    words = server.log_lines(1)
    checker.record(
        "load.survived", "", failed(f"the server ended during the checks: {' '.join(words) or 'its log is empty'}")
    )
