"""The REST adapter: HTTP in, JSON out."""
