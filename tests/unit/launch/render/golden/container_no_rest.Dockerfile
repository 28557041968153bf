# container_no_rest.yaml with its models inside: docker build -t NAME .
FROM tensorflow/serving@sha256:0000000000000000000000000000000000000000000000000000000000000000

COPY config/ /config/
COPY models/digits/1/ /models/digits/1/
COPY models/digits/00000002/ /models/digits/00000002/

USER 65534:65534
EXPOSE 8500
ENTRYPOINT ["/usr/bin/tensorflow_model_server", "--port=8500", "--rest_api_port=0", "--model_config_file=/config/models.config", "--enable_profiler=false", "--max_num_load_retries=0", "--load_retry_interval_micros=0", "--grpc_max_threads=64"]
