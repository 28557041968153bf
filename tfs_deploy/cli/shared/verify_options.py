# SPDX-License-Identifier: Apache-2.0
"""The options of ``verify``, and the plan that they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.line import deployed, kinds
from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.line.words import paths, policy_file
from tfs_deploy.cli.shared.options import all_of
from tfs_deploy.errors import UsageError
from tfs_deploy.verify.checks import GROUPS

if TYPE_CHECKING:
    from tfs_deploy.deployment import Deployment
    from tfs_deploy.savedmodel.lint.policy import Policy
    from tfs_deploy.verify.groups.data import DataSettings
    from tfs_deploy.verify.groups.load_test import LoadSettings
    from tfs_deploy.verify.run import VerificationPlan
    from tfs_deploy.verify.serving import VerificationTarget
    from tfs_deploy.verify.subjects import Subject

REFERENCE = f"""\
Groups of checks, in their order; --skip takes a group or one check:
  {" ".join(GROUPS)}
Budgets, each in an option of its own or in a YAML file under budgets:
  p50 p90 p95 p99 < 20ms     throughput >= 200/s     errors <= 1%
  memory < 2GB               cpu < 1.5
  p99 < 1.2x                 relative to the baseline, in the same run
  p50 needs 10 answered requests, p90 50, p95 100, p99 500
Metrics:
  accuracy topN precision recall f1 auc log_loss mae mse rmse r2
"""
_SECONDS = click.FloatRange(min=0.1)
_FILE = click.Path(path_type=Path, dir_okay=False)

OPTIONS = (
    option(
        "--target",
        metavar="WHERE",
        shell_complete=deployed.target,
        help="Server to use: embedded, docker, or a running HOST:PORT[/RESTPORT].  [default: as in FILE]",
    ),
    option("--image", "images", multiple=True, metavar="TAG", help="Container image; may be repeated."),
    option(
        "--baseline",
        metavar="VERSION",
        shell_complete=deployed.version_beside,
        help="Version to compare with: a number under the same base path, or a path.",
    ),
    option(
        "--model",
        "name",
        metavar="NAME",
        shell_complete=deployed.model,
        help="Model of FILE to verify, or the name to serve MODEL_DIR under.",
    ),
    option(
        "--skip",
        "skips",
        multiple=True,
        metavar="CHECK",
        shell_complete=kinds.groups,
        help="Check or group to skip; may be repeated.",
    ),
    option(
        "--only",
        metavar="GROUP",
        shell_complete=kinds.groups,
        multiple=True,
        help="Group of checks to run; may be repeated.  [default: all]",
    ),
    option(
        "--policy",
        type=_FILE,
        metavar="FILE",
        shell_complete=policy_file,
        help="Policy that the version has to keep, a YAML file.",
    ),
    option("--ignore", metavar="RULES", shell_complete=kinds.rules, default="", help="Lint rules to skip: A,B."),
    option(
        "--timeout",
        type=_SECONDS,
        default=10.0,
        show_default=True,
        metavar="SECONDS",
        help="Timeout per request, in seconds.",
    ),
    option(
        "--load-timeout",
        type=_SECONDS,
        metavar="SECONDS",
        help="Timeout for loading, in seconds.  [default: 45, more for large models]",
    ),
    option(
        "--dataset",
        type=_FILE,
        shell_complete=paths(".npz", ".csv", ".parquet", ".tfrecord"),
        help="Data set to run through the model: .npz, .csv, .parquet or .tfrecord.",
    ),
    option(
        "--metric",
        "metrics",
        multiple=True,
        metavar="LIMIT",
        shell_complete=kinds.metrics,
        help="Limit of a metric on the data set: accuracy>=0.95; may be repeated.",
    ),
    option("--signature", "-s", metavar="NAME", help="Signature for the data set.  [default: serving_default]"),
    option(
        "--label",
        metavar="COLUMN",
        help="Column of expected values.  [default: label, target, class, y, or the only one left]",
    ),
    option("--output", "output_name", metavar="NAME", help="Output that the metrics are computed on."),
    option(
        "--load",
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        help="Duration of the load test, in seconds.  [default: 2, with budgets 5]",
    ),
    option(
        "--callers",
        type=click.IntRange(1, 256),
        default=4,
        show_default=True,
        metavar="N",
        help="Concurrent callers of the load test.",
    ),
    option(
        "--rate",
        type=click.FloatRange(min=0.1),
        metavar="N",
        help="Requests per second of the load test, instead of --callers.",
    ),
    option(
        "--budget",
        "budgets",
        multiple=True,
        metavar="LIMIT|FILE",
        shell_complete=kinds.budgets,
        help="Budget of the load test (see below); may be repeated.",
    ),
    option(
        "--on-too-few",
        type=click.Choice(["fail", "skip"]),
        default="fail",
        show_default=True,
        help="What a budget of a quantile does with too few requests.",
    ),
)


verify_options = all_of(OPTIONS)


def make_plan(path: Path, options: dict[str, Any]) -> VerificationPlan:
    """Make the plan that the options describe; raises ``UsageError`` before a server is started."""
    from tfs_deploy.savedmodel.lint import select_rules
    from tfs_deploy.verify.checks import excluded_checks
    from tfs_deploy.verify.run import VerificationPlan
    from tfs_deploy.verify.serving import verification_targets

    ignored = tuple(rule.strip() for rule in options["ignore"].split(",") if rule.strip())
    select_rules((), ignored)
    deployment, subjects = _subjects(path, options["name"], options["baseline"])
    targets = verification_targets(options["target"], options["images"], deployment)
    policy = _policy(options)
    only = [*options["only"], "policy"] if policy is not None and options["only"] else options["only"]
    return VerificationPlan(
        *(tuple(subjects), tuple(targets), deployment),
        timeout=options["timeout"],
        load_timeout=options["load_timeout"],
        excluded_checks=excluded_checks(options["skips"], only),
        ignore=ignored,
        trust=_trust(options["trust"] or (() if deployment is None else deployment.trust)),
        revoked=() if deployment is None else deployment.revoked,
        load=_load(options, targets),
        data=_data(options),
        policy=policy,
    )


def _policy(options: dict[str, Any]) -> Policy | None:
    from tfs_deploy.verify.policies import read_policy

    if options["policy"] is None:
        if "policy" in options["only"]:
            raise UsageError("the group policy needs a policy", hint="--policy FILE")
        return None
    if any(skipped.partition(".")[0] == "policy" for skipped in options["skips"]):
        raise UsageError("--policy and --skip policy exclude each other", hint="drop one of them")
    return read_policy(options["policy"])


def _trust(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return the trusted keys, of the line or of the deployment file, each of which can be used."""
    if paths:
        from tfs_deploy.store.signing.trust import open_trust

        open_trust(paths)
    return paths


def _subjects(path: Path, name: str | None, baseline: str | None) -> tuple[Deployment | None, list[Subject]]:
    from tfs_deploy.deployment.file import load_deployment
    from tfs_deploy.savedmodel.graph.op_libraries import use_op_libraries
    from tfs_deploy.verify.subjects import FILES, subjects_of_deployment, subjects_of_directory

    if path.suffix in FILES and not path.is_dir():
        deployment = load_deployment(path)
        use_op_libraries(deployment.server.op_libraries)
        return deployment, subjects_of_deployment(deployment, name=name, baseline=baseline)
    return None, subjects_of_directory(path, name=name, baseline=baseline)


def _load(options: dict[str, Any], targets: list[VerificationTarget]) -> LoadSettings:
    from tfs_deploy.verify.groups.load_test import LoadSettings
    from tfs_deploy.verify.measure.budgets import read_budgets

    budgets = tuple(read_budgets(options["budgets"]))
    seconds = options["load"]
    if seconds is None:
        # no load on a server that others use, unless it is asked for
        seconds = 5.0 if budgets else 0.0 if any(target.kind == "address" for target in targets) else 2.0
    if budgets and not seconds:
        raise UsageError("budgets need a load test", hint="give --load a number of seconds above 0")
    return LoadSettings(seconds, options["callers"], options["rate"], budgets, options["on_too_few"])


def _data(options: dict[str, Any]) -> DataSettings | None:
    from tfs_deploy.verify.groups.data import DataSettings
    from tfs_deploy.verify.measure.data_sets import read_data_set
    from tfs_deploy.verify.measure.metrics import MetricLimit

    limits = tuple(MetricLimit.parse(text) for text in options["metrics"])
    if options["dataset"] is None:
        if limits:
            raise UsageError("a metric needs a data set", hint="--dataset FILE")
        return None
    columns = read_data_set(options["dataset"])
    return DataSettings(columns, limits, options["signature"], options["label"], options["output_name"])
