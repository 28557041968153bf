"""Transports send bytes and return bytes: the interface, load balancing over several servers, and hedged requests."""
