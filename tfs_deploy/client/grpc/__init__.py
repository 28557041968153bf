"""gRPC: the dialect of the API, and channels."""
