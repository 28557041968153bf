"""gRPC: the dialect of the API, channels and transports."""
