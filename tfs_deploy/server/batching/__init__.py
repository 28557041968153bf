"""Request batching: options, scheduler, and the runner in front of an engine."""
