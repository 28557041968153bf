"""``export_model``: from a trained model to a numbered version directory that is proven to load."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfs_deploy.codec import encode_predict_request
from tfs_deploy.export import checks, provenance
from tfs_deploy.export.base_path import check_base_path, check_version
from tfs_deploy.export.detect import open_source
from tfs_deploy.export.examples import record
from tfs_deploy.export.publish import Stage, stage
from tfs_deploy.export.quiet import quiet
from tfs_deploy.export.signature import Signature, as_signatures
from tfs_deploy.export.tolerance import DEFAULT_ATOL, DEFAULT_RTOL, Tolerance
from tfs_deploy.export.writing import writing
from tfs_deploy.savedmodel import SavedModelInfo, inspect_model
from tfs_deploy.savedmodel.goldens import Golden, write_goldens
from tfs_deploy.savedmodel.manifest import Manifest, build_manifest, signature_digest, write_manifest
from tfs_deploy.savedmodel.warmup import write_warmup

if TYPE_CHECKING:
    from tfs_deploy.export.source import Source
    from tfs_deploy.protos.signatures import SignatureInfo


@dataclass(frozen=True)
class ExportedVersion:
    """A version that was published: its directory and number, what it serves, and its manifest."""

    path: Path
    version: int
    signatures: dict[str, SignatureInfo]
    manifest: Manifest


def export_model(
    source: Any,
    base_path: str | os.PathLike[str],
    *,
    signatures: Mapping[str, Signature | Any] | Signature | None = None,
    version: int | str | None = None,
    examples: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    kind: str | None = None,
    check: bool = True,
    check_timeout: float = 600.0,
    rtol: float = DEFAULT_RTOL,
    atol: float = DEFAULT_ATOL,
    warmup: bool = True,
) -> ExportedVersion:
    """Write a model into the next numbered version directory under ``base_path``, complete or not at all.

    Args:
        source: a Keras model, a ``tf.Module``, a ``tf.function`` or a dict of them by signature name.
        base_path: directory of the versions; made if missing.
        signatures: ``{name: Signature}``; without it the model's own call and names are used.
        version: a number; ``None`` = the one after the highest; ``"timestamp"`` = seconds since the epoch.
        examples: ``{signature: {input: array}}`` or lists of such dicts. The original answers them before the model
            is written; the answers are checked against the written model and recorded with it
            (``assets.extra/goldens``), and the requests warm it up (``assets.extra/tf_serving_warmup_requests``).
        metadata: anything JSON can say, kept in the manifest.
        kind: what ``source`` is, where that is not to be detected.
        check: load the written model in a fresh process and compare its answers with the original's.
        check_timeout: seconds for that process.
        rtol: relative tolerance of floating outputs.
        atol: absolute tolerance of floating outputs.
        warmup: write the examples as warmup requests.

    Raises:
        UsageError: the source, a signature, an example or the base path cannot be used.
        VerdictError: the written model does not load or does not answer as the original; nothing is left behind.
        EnvironmentFault: the disk is full or read-only.
    """
    base = check_base_path(base_path)
    check_version(version)
    wanted = None if signatures is None else as_signatures(signatures)
    free = provenance.check_metadata(metadata)
    with quiet():
        opened = open_source(source, kind, wanted)
        goldens = record(opened, examples, Tolerance(rtol, atol))
        with stage(base) as staged, writing(base):
            info = _fill(staged, opened, goldens, warmup=warmup)
            if check:
                checks.replay_in_fresh_process(staged.path, ("serve",), check_timeout)
            manifest = _describe(staged.path, info, free)
            published = staged.publish(version)
    return ExportedVersion(published.path, published.number, info.signatures, manifest)


def _fill(staged: Stage, source: Source, goldens: list[Golden], *, warmup: bool) -> SavedModelInfo:
    source.save(staged.path)
    info = inspect_model(staged.path)
    checks.refuse_python_ops(info)
    if goldens:
        write_goldens(staged.path, goldens)
    if goldens and warmup:
        name = staged.base_path.name
        write_warmup(
            staged.path, [encode_predict_request(name, golden.inputs, signature=golden.signature) for golden in goldens]
        )
    return info


def _describe(folder: Path, info: SavedModelInfo, metadata: dict[str, Any]) -> Manifest:
    manifest = build_manifest(
        folder,
        signature_digest=signature_digest(info.signatures),
        tensorflow_version=provenance.tensorflow_version(),
        keras_version=provenance.keras_version(),
        git_commit=provenance.git_commit(),
        metadata=metadata,
    )
    write_manifest(folder, manifest)
    return manifest
