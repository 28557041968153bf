"""The model manager: configs, version policies, sources, loads, labels and states."""
