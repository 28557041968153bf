"""REST: the dialect of the API, and HTTP connections."""
