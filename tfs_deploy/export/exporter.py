# SPDX-License-Identifier: Apache-2.0
"""``export_model``: write a trained model to a numbered version directory, and prove that it loads."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfs_deploy.export.evidence import provenance, validation
from tfs_deploy.export.evidence.examples import Example, as_examples, example_dtypes
from tfs_deploy.export.evidence.recording import record_goldens, warmup_requests
from tfs_deploy.export.evidence.tolerance import DEFAULT_ATOL, DEFAULT_RTOL, Tolerance
from tfs_deploy.export.signatures.signature import Signature, as_signatures
from tfs_deploy.export.sources.kinds import open_source
from tfs_deploy.export.tensorflow.hashing import Hasher
from tfs_deploy.export.tensorflow.silence import silence_logs
from tfs_deploy.export.tensorflow.write_errors import translate_save_errors, translate_write_errors
from tfs_deploy.savedmodel.goldens import Golden, write_goldens
from tfs_deploy.savedmodel.manifest import FileEntry, Manifest, build_manifest, signature_digest, write_manifest
from tfs_deploy.savedmodel.warmup import write_warmup
from tfs_deploy.store.base_path import check_base_path, check_version
from tfs_deploy.store.publish import refuse_taken, stage
from tfs_deploy.store.retention import check_keep, named_versions, prune

if TYPE_CHECKING:
    from tfs_deploy.protos.signatures import SignatureInfo


@dataclass(frozen=True)
class ExportedVersion:
    """A published version: its directory and number, its signatures, its manifest, and the versions pruned."""

    path: Path
    version: int
    signatures: dict[str, SignatureInfo]
    manifest: Manifest
    pruned: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"ExportedVersion({self.path}; {'; '.join(map(str, self.signatures.values()))})"


@dataclass(frozen=True)
class _ModelCheck:
    enabled: bool
    timeout: float
    tags: tuple[str, ...]


def export_model(
    source: Any,
    base_path: str | os.PathLike[str],
    *,
    signatures: Mapping[str, Any] | Signature | None = None,
    version: int | str | None = None,
    examples: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    kind: str | None = None,
    tags: Sequence[str] = ("serve",),
    keep: int | None = None,
    deployments: Sequence[str | os.PathLike[str]] | None = None,
    check: bool = True,
    check_timeout: float = 600.0,
    rtol: float | Mapping[str, float] = DEFAULT_RTOL,
    atol: float | Mapping[str, float] = DEFAULT_ATOL,
    warmup: bool = True,
    safe_mode: bool = True,
) -> ExportedVersion:
    """Write a model to the next numbered version directory under ``base_path`` and return it, complete or not at all.

    Args:
        source: a Keras model, a ``tf.Module``, a ``tf.function`` or a dict of them by signature name, a
            ``tf.compat.v1.Session``, a GraphDef, or a path: a ``.keras`` or ``.h5`` file, a SavedModel (copied, or
            with other signatures), a TensorFlow 1 checkpoint with its ``.meta`` file, a frozen GraphDef.
        base_path: directory of the versions; created if missing.
        signatures: ``{name: Signature}``; default: the model's own call, inputs and outputs.
        version: a number; ``None`` = the one after the highest; ``"timestamp"`` = seconds since the epoch.
        examples: ``{signature: {input: array}}`` or lists of such dicts. The original answers them before the model
            is written; the answers are checked against the written model and recorded with it
            (``assets.extra/goldens``), and the requests warm it up (``assets.extra/tf_serving_warmup_requests``).
            A ``savedmodel.goldens.Golden`` instead of a dict brings its own expected answer.
        metadata: anything that JSON can hold; kept in the manifest.
        kind: what ``source`` is (see ``sources.kinds``); default: detected.
        tags: the tags of the served meta graph (TensorFlow 1 sources and SavedModels only). ``()`` takes the meta
            graph without tags of a SavedModel, which no server finds, and gives it the tag ``serve``.
        keep: how many versions stay; older ones are removed, except those that a deployment file or a rollout names.
        deployments: the deployment files to respect; default: those found above ``base_path``, in ``configs`` there,
            and in the working directory.
        check: load the written model in a fresh process and compare its answers with the original's.
        check_timeout: timeout of that process, in seconds.
        rtol: relative tolerance of floating-point outputs, one number or by output name.
        atol: absolute tolerance of floating-point outputs, one number or by output name.
        warmup: write the examples as warmup requests.
        safe_mode: refuse a Keras file that holds Python code, such as that of a ``Lambda`` layer.

    Raises:
        UsageError: the source, a signature, an example or the base path cannot be used.
        ModelError: a file of the source is damaged.
        VerdictError: the written model does not load or does not answer as the original; nothing is left behind.
        EnvironmentFault: the disk is full or read-only.
        MissingExtraError: TensorFlow is not installed.
    """
    base = check_base_path(base_path)
    number = check_version(version)
    if isinstance(number, int) and base.exists():
        refuse_taken(base, number)
    tolerance = Tolerance(rtol, atol)
    wanted = None if signatures is None else as_signatures(signatures)
    free = provenance.check_metadata(metadata)
    check_keep(keep)
    if deployments is not None:
        named_versions(base, deployments, [])  # report mistakes in a deployment file before any work is done
    model_check = _ModelCheck(check, check_timeout, tuple(tags) or ("serve",))
    with silence_logs(), contextlib.ExitStack() as stack:
        opened = open_source(source, kind, wanted, tuple(tags), example_dtypes(examples), safe_mode=safe_mode)
        stack.callback(opened.close)
        given = as_examples(opened, examples)
        commit = stack.enter_context(provenance.GitCommit())
        with stage(base) as staged, translate_write_errors(base):
            with Hasher(staged.path) as hasher:
                with translate_save_errors():
                    opened.save(staged.path, hasher)
                # After the save: a model that counts its calls must not be written with ours counted.
                goldens = record_goldens(opened, given, tolerance)
                infos = validation.inspect_served(staged.path, model_check.tags).signatures
                _write_evidence(staged.path, base.name, infos, given if warmup else [], goldens)
                _check(staged.path, model_check)
                staged.sync()  # the disk writes while the hasher catches up
            manifest = _describe(staged.path, infos, free, commit.answer(), hasher.entries)
            published = staged.publish(version)
    pruned = () if keep is None else tuple(prune(base, keep, deployments, published.number))
    return ExportedVersion(published.path, published.number, infos, manifest, pruned)


def _write_evidence(
    folder: Path,
    model: str,
    infos: Mapping[str, SignatureInfo],
    examples: Sequence[Example],
    goldens: Sequence[Golden],
) -> None:
    if goldens:
        write_goldens(folder, goldens)
    if examples:
        write_warmup(folder, warmup_requests(model, examples, infos))


def _check(folder: Path, model_check: _ModelCheck) -> None:
    info = validation.inspect_served(folder, model_check.tags)
    validation.refuse_unservable(info)
    if model_check.enabled:
        validation.replay_in_fresh_process(info, model_check.tags, model_check.timeout)


def _describe(
    folder: Path,
    infos: Mapping[str, SignatureInfo],
    metadata: dict[str, Any],
    commit: str | None,
    hashed: Mapping[str, FileEntry],
) -> Manifest:
    manifest = build_manifest(
        folder,
        signature_digest=signature_digest(infos),
        tensorflow_version=provenance.tensorflow_version(),
        keras_version=provenance.keras_version(),
        git_commit=commit,
        metadata=metadata,
        known=hashed,
    )
    write_manifest(folder, manifest)
    return manifest
