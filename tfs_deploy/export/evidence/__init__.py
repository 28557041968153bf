"""What is written beside a model to prove it: goldens, warmup requests, provenance, checks."""
