"""A model server for faults: started in a third of a second, answers Predict and metadata of half_plus_two.

Run: python replica.py PORT [SECONDS]       each Predict takes SECONDS
"""

from __future__ import annotations

import sys
import time
from concurrent import futures

import grpc

from tfs_deploy import codec, protos
from tfs_deploy.protos import methods
from tfs_deploy.protos.signatures import DTYPE_NUMBERS


def describe(_body, _context):
    response = protos.GetModelMetadataResponse()
    response.model_spec.name = "half_plus_two"
    response.model_spec.version.value = 1
    found = protos.SignatureDefMap()
    definition = found.signature_def["serving_default"]
    definition.method_name = "tensorflow/serving/predict"
    for side, name in ((definition.inputs, "x"), (definition.outputs, "y")):
        side[name].name = f"{name}:0"
        side[name].dtype = DTYPE_NUMBERS["float32"]
        side[name].tensor_shape.dim.add(size=-1)
    response.metadata["signature_def"].Pack(found)
    return response.SerializeToString()


def status(_body, _context):
    response = protos.GetModelStatusResponse()
    response.model_version_status.add(version=1, state=30)
    return response.SerializeToString()


def main() -> None:
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0

    def predict(body, _context):
        time.sleep(seconds)
        outputs = {"y": codec.decode_predict_request(body).inputs["x"] / 2 + 2}
        return codec.encode_predict_response(outputs, model="half_plus_two", version=1, signature="serving_default")

    answers = {methods.PREDICT: predict, methods.GET_MODEL_METADATA: describe, methods.GET_MODEL_STATUS: status}

    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            return grpc.unary_unary_rpc_method_handler(answers[details.method])

    server = grpc.server(futures.ThreadPoolExecutor(8), handlers=(Handler(),), options=[("grpc.so_reuseport", 0)])
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
