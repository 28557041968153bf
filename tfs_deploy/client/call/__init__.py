"""One call as values: the request, its attempts, deadline, headers, record and reply. No I/O."""
