"""Every way into a version directory: sources, signatures, checks, and publishing in one step.

Importing this package does not import TensorFlow.
"""

from __future__ import annotations

from tfs_deploy.export.exporter import ExportedVersion, export_model
from tfs_deploy.export.signature import Signature
from tfs_deploy.protos.signatures import TensorSpec

__all__ = ["ExportedVersion", "Signature", "TensorSpec", "export_model"]
