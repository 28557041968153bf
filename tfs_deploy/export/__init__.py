# SPDX-License-Identifier: Apache-2.0
"""Export a model to a version directory: sources, signatures, checks and publishing in one step.

Importing this package does not import TensorFlow.
"""

from __future__ import annotations

from tfs_deploy.export.exporter import ExportedVersion, export_model
from tfs_deploy.export.signatures.signature import Signature
from tfs_deploy.export.signatures.wrappers import (
    classify_examples,
    from_examples,
    from_image_bytes,
    regress_examples,
    with_vocabulary,
)
from tfs_deploy.protos.signatures import TensorSpec

__all__ = [
    "ExportedVersion",
    "Signature",
    "TensorSpec",
    "classify_examples",
    "export_model",
    "from_examples",
    "from_image_bytes",
    "regress_examples",
    "with_vocabulary",
]
