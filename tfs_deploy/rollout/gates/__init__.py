"""Gates: judgements of a step, on requests, metrics, commands and servers."""
