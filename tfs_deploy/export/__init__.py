# SPDX-License-Identifier: Apache-2.0
"""Export a model to a version directory: sources, signatures, checks and publishing in one step.

Importing this package does not import TensorFlow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.lazy import lazy_names

if TYPE_CHECKING:
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

_WRAPPERS = "tfs_deploy.export.signatures.wrappers"
#: public name -> its module, imported with it: the command line reads defaults and kinds without NumPy
_HOME = {
    "ExportedVersion": "tfs_deploy.export.exporter",
    "Signature": "tfs_deploy.export.signatures.signature",
    "TensorSpec": "tfs_deploy.protos.signatures",
    "classify_examples": _WRAPPERS,
    "export_model": "tfs_deploy.export.exporter",
    "from_examples": _WRAPPERS,
    "from_image_bytes": _WRAPPERS,
    "regress_examples": _WRAPPERS,
    "with_vocabulary": _WRAPPERS,
}
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

__getattr__, __dir__ = lazy_names(__name__, _HOME, __all__)
