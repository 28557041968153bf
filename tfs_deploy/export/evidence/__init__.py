"""Evidence that a version works: goldens, warmup requests, provenance, validation."""
