"""The options of ``verify``, and the plan that they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.errors import UsageError
from tfs_deploy.verify.checks import GROUPS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfs_deploy.deployment import Deployment
    from tfs_deploy.verify.groups.data import DataSettings
    from tfs_deploy.verify.groups.load_test import LoadSettings
    from tfs_deploy.verify.run import VerificationPlan
    from tfs_deploy.verify.serving import VerificationTarget
    from tfs_deploy.verify.subjects import Subject

EPILOG = f"""\b
Groups of checks, in their order; --skip takes a group or one check:
  {" ".join(GROUPS)}
Budgets, each given alone or in a YAML file under budgets:
  p50 p90 p95 p99 < 20ms      throughput >= 200/s      errors <= 1%
  memory < 2GB                cpu < 1.5                p99 < 1.2x  (times the baseline's, in the same run)
Metrics:
  accuracy topN precision recall f1 auc log_loss mae mse rmse r2
"""
_SECONDS = click.FloatRange(min=0.1)
_FILE = click.Path(path_type=Path, dir_okay=False)

OPTIONS = (
    click.option("--target", metavar="WHERE", help="embedded, docker, HOST:PORT[/RESTPORT].  [default: as in FILE]"),
    click.option("--image", "images", multiple=True, metavar="TAG", help="A container image; several in turn."),
    click.option("--baseline", metavar="VERSION", help="What to compare with: a number beside it, or a path."),
    click.option("--model", "name", metavar="NAME", help="The model of FILE, or what to serve MODEL_DIR as."),
    click.option(
        "--skip", "skips", multiple=True, metavar="CHECK", help="Leave out a check or group; may be repeated."
    ),
    click.option("--only", metavar="GROUP", multiple=True, help="Make no checks but this group; may be repeated."),
    click.option("--ignore", metavar="RULES", default="", help="Lint rules to leave out, with commas."),
    click.option("--timeout", type=_SECONDS, default=10.0, show_default=True, help="Seconds an answer may take."),
    click.option("--load-timeout", type=_SECONDS, help="Seconds the load may take.  [default: 45, more for big ones]"),
    click.option("--dataset", type=_FILE, help="Send it too: .npz, .csv, .parquet, .tfrecord."),
    click.option("--metric", "metrics", multiple=True, metavar="LIMIT", help="What it has to reach: accuracy>=0.95."),
    click.option("--signature", metavar="NAME", help="The data set's signature.  [default: serving_default]"),
    click.option("--label", metavar="COLUMN", help="What is right.  [default: label, target, class, y, the one left]"),
    click.option("--output", "output_name", metavar="NAME", help="The output that metrics are about."),
    click.option("--load", type=click.FloatRange(min=0), help="Seconds of load.  [default: 2, with budgets 5]"),
    click.option("--callers", type=click.IntRange(1, 256), default=4, show_default=True, help="Requests at once."),
    click.option("--rate", type=click.FloatRange(min=0.1), help="Requests a second instead, however long each takes."),
    click.option(
        "--budget", "budgets", multiple=True, metavar="LIMIT|FILE", help="What the load may take (see below)."
    ),
)


def verify_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, in their order."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def make_plan(path: Path, options: dict[str, Any]) -> VerificationPlan:
    """Make the plan that the options describe; raises ``UsageError`` before anything is started."""
    from tfs_deploy.savedmodel.lint import select_rules
    from tfs_deploy.verify.checks import excluded_checks
    from tfs_deploy.verify.run import VerificationPlan
    from tfs_deploy.verify.serving import verification_targets

    ignored = tuple(rule.strip() for rule in options["ignore"].split(",") if rule.strip())
    select_rules((), ignored)
    deployment, subjects = _subjects(path, options["name"], options["baseline"])
    targets = verification_targets(options["target"], options["images"], deployment)
    return VerificationPlan(
        *(tuple(subjects), tuple(targets), deployment),
        timeout=options["timeout"],
        load_timeout=options["load_timeout"],
        excluded_checks=excluded_checks(options["skips"], options["only"]),
        ignore=ignored,
        load=_load(options, targets),
        data=_data(options),
    )


def _subjects(path: Path, name: str | None, baseline: str | None) -> tuple[Deployment | None, list[Subject]]:
    from tfs_deploy.deployment.file import load_deployment
    from tfs_deploy.verify.subjects import FILES, subjects_of_deployment, subjects_of_directory

    if path.suffix in FILES and not path.is_dir():
        deployment = load_deployment(path)
        return deployment, subjects_of_deployment(deployment, name=name, baseline=baseline)
    return None, subjects_of_directory(path, name=name, baseline=baseline)


def _load(options: dict[str, Any], targets: list[VerificationTarget]) -> LoadSettings:
    from tfs_deploy.verify.groups.load_test import LoadSettings
    from tfs_deploy.verify.measure.budgets import read_budgets

    budgets = tuple(read_budgets(options["budgets"]))
    seconds = options["load"]
    if seconds is None:
        # a server that others use is not put under load unasked
        seconds = 5.0 if budgets else 0.0 if any(target.kind == "address" for target in targets) else 2.0
    if budgets and not seconds:
        raise UsageError("budgets need a load to be measured under", hint="give --load the seconds it may take")
    return LoadSettings(seconds, options["callers"], options["rate"], budgets)


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
