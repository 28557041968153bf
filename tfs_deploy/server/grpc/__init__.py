"""The gRPC adapter: bytes in, bytes out."""
