"""A deployment as files for other tools: a compose project, a Dockerfile."""
