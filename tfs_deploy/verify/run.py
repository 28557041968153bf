"""A verification from beginning to end: every subject, on every target, group by group."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfs_deploy.errors import LaunchError, ModelError, UsageError
from tfs_deploy.savedmodel.goldens import read_goldens
from tfs_deploy.store.identity import identify
from tfs_deploy.verify.checks import GROUPS, Check, Examiner, failed, passed, skipped
from tfs_deploy.verify.groups.behaviour import examine_baseline_labels, examine_behaviour
from tfs_deploy.verify.groups.data import DataSettings, examine_data, require_fit
from tfs_deploy.verify.groups.empty_batch import examine_empty_batches
from tfs_deploy.verify.groups.files import examine_files
from tfs_deploy.verify.groups.inference import examine_inference
from tfs_deploy.verify.groups.load import examine_load, is_refusal, load_timeout, require_rest, tell_refusal
from tfs_deploy.verify.groups.load_test import NO_LOAD, LoadSettings, examine_performance, require_possible
from tfs_deploy.verify.groups.parity import examine_parity
from tfs_deploy.verify.groups.refusals import examine_refusals
from tfs_deploy.verify.groups.smoke import choose_cases, examine_answers
from tfs_deploy.verify.probing.local_runner import LocalRunner
from tfs_deploy.verify.probing.prober import Asker
from tfs_deploy.verify.probing.warmup_cases import warmup_cases, warmup_requests
from tfs_deploy.verify.serving import Endpoint, serving, workspace
from tfs_deploy.verify.staging import staged_models
from tfs_deploy.verify.verification import Evidence, Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tfs_deploy.deployment import Deployment
    from tfs_deploy.savedmodel.goldens import Golden
    from tfs_deploy.savedmodel.inspect import SavedModelInfo
    from tfs_deploy.store.identity import Identity
    from tfs_deploy.verify.probing.cases import Case
    from tfs_deploy.verify.serving import Target
    from tfs_deploy.verify.subjects import Subject

    #: what is there to be served: subject -> what its files say
    Readable = dict[Subject, SavedModelInfo]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is verified and how.

    Attributes:
        subjects: the versions.
        targets: the servers, in turn.
        template: the deployment whose server settings count, if there is a file.
        timeout: seconds that an answer may take.
        load_timeout: seconds that a server may take to load everything; ``None``: by the size of the models.
        left_out: ids and groups of checks that are not made.
        ignore: lint rules that are not applied.
        load: the load test; none with 0 seconds.
        data: the data set and what it has to reach, if there is one.
    """

    subjects: tuple[Subject, ...]
    targets: tuple[Target, ...]
    template: Deployment | None = None
    timeout: float = 10.0
    load_timeout: float | None = None
    left_out: frozenset[str] = frozenset()
    ignore: tuple[str, ...] = ()
    load: LoadSettings = NO_LOAD
    data: DataSettings | None = None


def verify(
    plan: Plan, watch: Callable[[Check], None] = lambda _: None, progress: Callable[[int], None] = lambda _: None
) -> Verification:
    """Make all checks; ``watch`` is told of each as it is made, ``progress`` of rows of the data set.

    Raises:
        EnvironmentFault: a server cannot be started on this machine, or the one to ask does not answer.
        UsageError: something in the plan cannot be.
    """
    own_server = all(target.kind != "address" for target in plan.targets)
    baseline = all(subject.baseline is not None for subject in plan.subjects)
    if plan.data is not None and len(plan.subjects) > 1:
        raise UsageError("a data set is for one version", hint="name the model with --model, or give its directory")
    require_possible(plan.load, baseline=baseline, own_server=own_server)
    return _Run(plan, watch, progress).verify()


class _Run:
    """One verification under way."""

    def __init__(self, plan: Plan, watch: Callable[[Check], None], progress: Callable[[int], None]) -> None:
        self._plan = plan
        self._checks: list[Check] = []
        self._watch = watch
        self._progress = progress
        self._evidence = Evidence()
        self._examiner = Examiner(self._sink, left_out=plan.left_out)

    def verify(self) -> Verification:
        plan, began = self._plan, time.monotonic()
        created_at = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
        # The model is loaded here while its files are hashed and the server starts.
        with contextlib.ExitStack() as stack:
            early = {
                subject: stack.enter_context(LocalRunner(subject.path))
                for subject in plan.subjects[:1]
                if self._asks_local()
            }
            readable: Readable = {}
            for subject in plan.subjects:
                info = examine_files(self._examiner.of(model=str(subject)), subject, plan.ignore)
                if info is not None:
                    readable[subject] = info
                    self._evidence.signatures[str(subject)] = info.signatures
                    if plan.data is not None and self._examiner.wants("data"):
                        require_fit(info.signatures, plan.data)
            identities = tuple(_identity(subject) if subject in readable else None for subject in plan.subjects)
            for target in plan.targets if self._asks_servers() else ():
                self._on_target(target, readable, early)
        return Verification(
            *(plan.subjects, identities, tuple(target.name for target in plan.targets), tuple(self._checks)),
            *(self._evidence, created_at, time.monotonic() - began, tuple(sorted(plan.left_out))),
        )

    def _asks_servers(self) -> bool:
        """Whether any check needs a server."""
        return any(self._examiner.wants(group) for group in GROUPS if group != "files")

    def _asks_local(self) -> bool:
        """Whether the model is run in a process of this machine; without that nothing here needs TensorFlow."""
        return self._examiner.wants("parity") and self._asks_servers()

    def _sink(self, check: Check) -> None:
        self._checks.append(check)
        self._watch(check)

    def _on_target(self, target: Target, readable: Readable, early: Mapping[Subject, LocalRunner]) -> None:
        examiner = self._examiner.of(target=target.name)
        for subject in self._plan.subjects:
            if subject not in readable:
                reason = skipped("its files cannot be read, so there is nothing to load")
                examiner.of(model=str(subject)).tell("load.served", "", reason)
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
                            self._ask(examiner.of(model=str(subject)), subject, info, endpoint, local)
            except LaunchError as error:
                if not is_refusal(error):
                    raise
                tell_refusal(examiner, readable, error, time.monotonic() - began)

    @contextlib.contextmanager
    def _runner(self, subject: Subject, early: Mapping[Subject, LocalRunner]) -> Iterator[LocalRunner | None]:
        if subject in early or not self._asks_local():
            yield early.get(subject)
            return
        with LocalRunner(subject.path) as runner:
            yield runner

    def _ask(
        self, examiner: Examiner, subject: Subject, info: SavedModelInfo, endpoint: Endpoint, local: LocalRunner | None
    ) -> None:
        """Make all checks of one version on one server."""
        with contextlib.ExitStack() as stack:
            grpc = stack.enter_context(endpoint.grpc(self._plan.timeout))
            rest = endpoint.rest(self._plan.timeout)
            if rest is not None:
                stack.enter_context(rest)
            if not examine_load(examiner, subject, grpc, endpoint, info.signatures):
                return
            if rest is not None and endpoint.started is None:
                require_rest(subject, rest)
            asker = Asker(subject.name, subject.version, grpc, rest, local, self._plan.timeout)
            cases = _cases(examiner, asker, info)
            examine_answers(examiner, asker, info.signatures, cases)
            examine_inference(examiner, asker, info.signatures, cases)
            # a model that answers at random differs from itself before it differs between transports
            examine_behaviour(examiner, asker, info.signatures, cases)
            if subject.baseline is not None and self._asks_local():
                examine_baseline_labels(examiner, asker, cases, subject.baseline)
            examine_parity(examiner, asker, info.signatures, cases, self._evidence.differences)
            examine_refusals(examiner, asker, info.signatures, cases, endpoint.rest_address)
            examine_data(examiner, asker, info.signatures, self._plan.data, self._progress)
            measured = self._evidence.measured
            examine_performance(examiner, asker, cases, self._plan.load, endpoint.started, measured)
            examine_empty_batches(examiner, asker, info.signatures, cases, batching=endpoint.batching)
            _still_there(examiner, endpoint)


def _identity(subject: Subject) -> Identity | None:
    try:
        return identify(subject.path)
    except ModelError:  # a manifest that cannot be understood: ``files.manifest`` says so
        return None


def _cases(examiner: Examiner, asker: Asker, info: SavedModelInfo) -> dict[str, list[Case]]:
    goldens: list[Golden] = []
    try:
        goldens = read_goldens(info.path)
    except ModelError as error:
        examiner.tell("smoke.recorded", "", failed(error.message))
    requests = warmup_requests(info.path)
    return {
        name: choose_cases(asker, signature, goldens, info.features(name), warmup_cases(signature, requests))
        for name, signature in info.signatures.items()
    }


def _still_there(examiner: Examiner, endpoint: Endpoint) -> None:
    """Report whether the server outlived what it was asked."""
    server = endpoint.started
    if server is None:
        return
    if server.alive():
        examiner.tell("load.survived", "", passed("the server still runs"))
        return
    words = server.log_lines(1)
    examiner.tell("load.survived", "", failed(f"the server ended while it was asked: {' '.join(words) or 'no word'}"))
