"""Sources: every kind of model that can be exported."""
