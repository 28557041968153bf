"""Request batching: options, scheduler, and the session that runs batches."""
