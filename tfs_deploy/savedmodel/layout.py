# SPDX-License-Identifier: Apache-2.0
"""Names of the files in a version directory."""

from __future__ import annotations

from typing import Final

SAVED_MODEL: Final = "saved_model.pb"
SAVED_MODEL_TEXT: Final = "saved_model.pbtxt"
SAVED_MODEL_CHUNKED: Final = "saved_model.cpb"
TFLITE_MODEL: Final = "model.tflite"
#: files that hold the graph of a SavedModel, and all that hold a model
GRAPH_FILES: Final = (SAVED_MODEL, SAVED_MODEL_TEXT, SAVED_MODEL_CHUNKED)
MODEL_FILES: Final = (*GRAPH_FILES, TFLITE_MODEL)
FINGERPRINT: Final = "fingerprint.pb"
VARIABLES: Final = "variables"
VARIABLES_PREFIX: Final = "variables/variables"
VARIABLES_INDEX: Final = "variables/variables.index"
ASSETS: Final = "assets"
ASSETS_EXTRA: Final = "assets.extra"
WARMUP: Final = "assets.extra/tf_serving_warmup_requests"
MANIFEST: Final = "assets.extra/tfs_deploy.json"
GOLDENS: Final = "assets.extra/goldens"
#: what others say about a version: files of it that neither the manifest nor the version's own signature covers
SIGNATURE: Final = "assets.extra/signature.json"
VERDICT: Final = "assets.extra/verdict.json"
VERDICT_SIGNATURE: Final = "assets.extra/verdict.sig.json"
ATTESTATIONS: Final = (SIGNATURE, VERDICT, VERDICT_SIGNATURE)
