"""A rollout in the real world: the deployed server, its config, replicas, checks of versions and requests."""
