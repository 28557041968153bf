"""REST: the dialect of the API, HTTP connections and transports."""
