# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy lint``: what would go wrong in serving."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.line.kinds import rules
from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.line.remote import ModelPath
from tfs_deploy.cli.line.words import deployment_file, directory, policy_file
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import common, op_libraries_option
from tfs_deploy.cli.shared.output import styled
from tfs_deploy.errors import UsageError
from tfs_deploy.savedmodel.lint import (
    RULES,
    Finding,
    ServerTraits,
    Severity,
    inspect_to_lint,
    lint_model,
    reference,
    select_rules,
)
from tfs_deploy.text import counted, visible_line
from tfs_deploy.verify.policies import read_policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.cli.shared.output import Output

_COLORS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


@click.command(
    name="lint",
    cls=Command,
    examples=(
        "tfs-deploy lint models/digits",
        "tfs-deploy lint models/digits/2 --fail-on warning --json",
        "tfs-deploy lint models/digits --policy policy.yaml",
        "tfs-deploy lint --rules",
    ),
)
@click.argument("path", type=ModelPath(), required=False, shell_complete=directory)
@option(
    "--select",
    multiple=True,
    metavar="RULES",
    shell_complete=rules,
    help="Rules to apply: ids, prefixes or names (A,B); may be repeated.  [default: all]",
)
@option("--ignore", multiple=True, metavar="RULES", shell_complete=rules, help="Rules to skip; may be repeated.")
@option("--image-version", metavar="VERSION", help="Version or image of the server: 2.19 or tensorflow/serving:2.19.1.")
@option(
    "--deployment",
    type=click.Path(path_type=Path),
    metavar="FILE",
    shell_complete=deployment_file,
    help="Deployment file of the server: its version, whether it compiles with XLA, its batches.",
)
@option(
    "--policy",
    "policy_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    shell_complete=policy_file,
    help="Policy that the model has to keep, a YAML file.",
)
@option(
    "--fail-on",
    type=click.Choice([severity.value for severity in Severity]),
    default=Severity.ERROR.value,
    show_default=True,
    help="Lowest severity that leads to exit code 1.",
)
@option("--rules", is_flag=True, help="Print the reference of all rules and exit.")
@op_libraries_option
@common
def command(
    output: Output,
    path: Path | None,
    *,
    select: Sequence[str],
    ignore: Sequence[str],
    image_version: str | None,
    deployment: Path | None,
    policy_path: Path | None,
    fail_on: str,
    rules: bool,
) -> int:
    """Find what would go wrong in serving.

    Use it right after an export, or in a pipeline: it reads the files of a SavedModel and needs neither TensorFlow nor
    a server. PATH is a version directory, a base path (its newest version), or a version in a store:
    s3://BUCKET/PREFIX@N, oci://REGISTRY/REPOSITORY:N.

    Exit code 1: a finding is at least as severe as --fail-on.
    """
    if rules:
        output.result({"rules": [_rule_document(rule.id) for rule in RULES]}, reference(), to_read=True)
        return 0
    if path is None:
        raise UsageError("PATH is missing", hint="give a version directory or a base path")
    selected, ignored = _split(select), _split(ignore)
    policy = None if policy_path is None else read_policy(policy_path)
    # without a policy, its rules have nothing to find
    applied = sum(policy is not None or not rule.id.startswith("TFS6") for rule in select_rules(selected, ignored))
    if not applied and policy is None:
        raise UsageError("only rules of a policy are left, and there is none", hint="--policy FILE")
    if deployment is not None and image_version is not None:
        raise UsageError("--image-version and --deployment exclude each other", hint="drop one of them")
    server = None if deployment is None else _server_of(deployment)
    info = inspect_to_lint(path)
    findings = lint_model(
        info, select=selected, ignore=ignored, image_version=image_version, server=server, policy=policy
    )
    limit = Severity(fail_on)
    failed = any(finding.severity.rank <= limit.rank for finding in findings)
    document = {
        "path": str(info.path),
        "ok": not failed,
        "rules_applied": applied,
        "summary": {severity.value: sum(f.severity is severity for f in findings) for severity in Severity},
        "policy": None if policy is None else dict(policy.as_dict()),
        "findings": [{**_plain(finding)} for finding in findings],
    }
    text = _render(str(info.path), findings, applied)
    output.result(document, text, to_read=True)
    if failed and output.quiet and not output.as_json:
        click.echo(_render(str(info.path), [f for f in findings if f.severity.rank <= limit.rank], applied), err=True)
    return 1 if failed else 0


def _server_of(file: Path) -> ServerTraits:
    """Return what a deployment file tells of the server; ``UsageError`` if that is nothing, or not its version."""
    from tfs_deploy.deployment.file import load_deployment
    from tfs_deploy.deployment.server_traits import server_traits
    from tfs_deploy.savedmodel.graph.op_libraries import use_op_libraries

    deployment = load_deployment(file)
    use_op_libraries(deployment.server.op_libraries)
    traits = server_traits(deployment)
    docker = deployment.server.docker
    if docker is None and traits == ServerTraits() and not deployment.server.op_libraries:
        raise UsageError(
            f"{file} names no image: its server does not run in a container",
            hint="give the server's version with --image-version",
        )
    if docker is not None and docker.release is None:
        raise UsageError(
            f"{file}: the server's version is unknown for the image {docker.image}",
            hint="set server.docker.serving_version, or give --image-version",
        )
    return traits


def _split(entries: Sequence[str]) -> list[str]:
    return [part.strip() for entry in entries for part in entry.split(",")]


def _plain(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "name": finding.name,
        "severity": finding.severity.value,
        "where": finding.where,
        "message": finding.message,
        "hint": finding.hint,
    }


def _rule_document(identifier: str) -> dict[str, Any]:
    rule = next(rule for rule in RULES if rule.id == identifier)
    about = {"id": rule.id, "name": rule.name, "severity": rule.severity.value}
    return {**about, "summary": rule.summary, "reason": rule.reason, "hint": rule.hint}


def _render(path: str, findings: Sequence[Finding], applied: int) -> str:
    """Write the worst findings last, where a terminal shows them; hints once for each rule."""
    lines = []
    ordered = sorted(findings, key=lambda finding: (-finding.severity.rank, finding.rule))
    for position, finding in enumerate(ordered):
        severity = styled(f"{finding.severity.value:7}", fg=_COLORS[finding.severity], bold=True)
        lines.append(f"{finding.rule} {severity} {visible_line(finding.where)}: {visible_line(finding.message)}")
        following = ordered[position + 1] if position + 1 < len(ordered) else None
        if following is None or (following.rule, following.hint) != (finding.rule, finding.hint):
            lines.append(f"               hint: {finding.hint}")
    counts = [
        counted(count, severity.value) if severity is not Severity.INFO else f"{count} info"
        for severity in Severity
        if (count := sum(finding.severity is severity for finding in findings))
    ]
    lines.append(f"{visible_line(path)}: {', '.join(counts) or 'nothing found'} ({counted(applied, 'rule')} applied)")
    return "\n".join(lines)
