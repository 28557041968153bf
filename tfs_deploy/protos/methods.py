# SPDX-License-Identifier: Apache-2.0
"""Paths of the gRPC methods (tensorflow_serving/apis/prediction_service.proto, model_service.proto)."""

from __future__ import annotations

from typing import Final

PREDICTION_SERVICE: Final = "tensorflow.serving.PredictionService"
MODEL_SERVICE: Final = "tensorflow.serving.ModelService"
HEALTH_SERVICE: Final = "grpc.health.v1.Health"

PREDICT: Final = f"/{PREDICTION_SERVICE}/Predict"
CLASSIFY: Final = f"/{PREDICTION_SERVICE}/Classify"
REGRESS: Final = f"/{PREDICTION_SERVICE}/Regress"
MULTI_INFERENCE: Final = f"/{PREDICTION_SERVICE}/MultiInference"
GET_MODEL_METADATA: Final = f"/{PREDICTION_SERVICE}/GetModelMetadata"
GET_MODEL_STATUS: Final = f"/{MODEL_SERVICE}/GetModelStatus"
RELOAD_CONFIG: Final = f"/{MODEL_SERVICE}/HandleReloadConfigRequest"
HEALTH_CHECK: Final = f"/{HEALTH_SERVICE}/Check"
HEALTH_WATCH: Final = f"/{HEALTH_SERVICE}/Watch"
