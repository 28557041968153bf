# SPDX-License-Identifier: Apache-2.0
"""What the embedded server is measured against, each a process of its own: ``python server_baselines.py KIND PORT``.

``grpc``: a plain ``grpc.server`` with 8 threads, TensorFlow's own conversions and a session callable.
``flask``: a Flask application with the standard ``json`` and the session call of the embedded server.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
MODEL = Path(__file__).parents[1] / "data" / "models" / "saved_model_half_plus_two_cpu" / "00000123"


def serve_grpc(port: int) -> None:
    """Answer Predict for half_plus_two the way that a first version of such a server is written."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    v1 = tf.compat.v1
    session = v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        meta_graph = v1.saved_model.load(session, ["serve"], str(MODEL))
        signature = meta_graph.signature_def["serving_default"]
        run = session.make_callable(signature.outputs["y"].name, feed_list=[signature.inputs["x"].name])

    class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
            result = run(tf.make_ndarray(request.inputs["x"]))
            response = predict_pb2.PredictResponse()
            response.outputs["y"].CopyFrom(tf.make_tensor_proto(result))
            response.model_spec.name = request.model_spec.name
            response.model_spec.version.value = 123
            response.model_spec.signature_name = "serving_default"
            return response

    server = grpc.server(ThreadPoolExecutor(8))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Servicer(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


def serve_flask(port: int) -> None:
    """Answer REST predict with Flask, ``json`` and the engine."""
    import json

    import flask
    import numpy as np
    from werkzeug.serving import WSGIRequestHandler

    from tfs_deploy.runtime.engine import Engine

    engine = Engine.load(MODEL)
    application = flask.Flask(__name__)

    @application.post("/v1/models/<_name>:predict")
    def predict(_name: str) -> Any:
        rows = json.loads(flask.request.get_data())["instances"]
        outputs = engine.run("serving_default", {"x": np.array(rows, np.float32)})
        return flask.Response(json.dumps({"predictions": outputs["y"].tolist()}), mimetype="application/json")

    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    application.run("127.0.0.1", port, threaded=True)


if __name__ == "__main__":
    {"grpc": serve_grpc, "flask": serve_flask}[sys.argv[1]](int(sys.argv[2]))
