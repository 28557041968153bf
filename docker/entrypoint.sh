#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The contract of the official image's /usr/bin/tf_serving_entrypoint.sh: MODEL_NAME and MODEL_BASE_PATH choose the
# model, further arguments go to the server and win over these flags. `exec` lets the server get the signals.
exec /usr/bin/tensorflow_model_server --port=8500 --rest_api_port=8501 \
  --model_name="${MODEL_NAME}" --model_base_path="${MODEL_BASE_PATH}/${MODEL_NAME}" "$@"
