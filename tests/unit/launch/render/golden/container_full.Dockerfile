# container_full.yaml with its models inside: docker build -t NAME .
FROM registry.example:5000/mirror/tensorflow/serving:2.20.0-gpu

COPY config/ /config/
COPY models/zebra/1/ /models/zebra/1/
COPY models/zebra/00000002/ /models/zebra/00000002/
COPY models/ant/1/ /models/ant/1/
COPY models/ant/00000002/ /models/ant/00000002/
ENV TF_CPP_MIN_LOG_LEVEL="1"

USER 1000:1000
EXPOSE 8500 8501
ENTRYPOINT ["/usr/bin/tensorflow_model_server", "--port=8500", "--rest_api_port=8501", "--model_config_file=/config/models.config", "--allow_version_labels_for_unavailable_models=true", "--enable_batching=true", "--batching_parameters_file=/config/batching.config", "--monitoring_config_file=/config/monitoring.config", "--enable_profiler=false", "--max_num_load_retries=0", "--load_retry_interval_micros=0", "--grpc_max_threads=16", "--enable_grpc_healthcheck_service=true"]
