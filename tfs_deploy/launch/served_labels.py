"""What the labels of a server lead to, compared with the deployment file and with the traffic of its clients. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def label_problems(
    model: str, wanted: Mapping[str, int], reached: Mapping[str, int], split: Mapping[str, float]
) -> Iterator[str]:
    """Yield a line for each label that clients or the file count on and that does not lead where it should.

    ``wanted``: label -> version as the file, or the last rollout, has it. ``reached``: the same as the server answers.
    ``split``: label -> percent in the traffic file.
    """
    for label in sorted(wanted.keys() | {label for label, share in split.items() if share > 0}):
        version, meant, share = reached.get(label), wanted.get(label), split.get(label, 0.0)
        if version is None:
            traffic = f"; {share:g} % of the traffic goes there" if share > 0 else ""
            instead = "" if meant is None else f" instead of version {meant}"
            yield f"label {label} of {model} leads to no version{instead}{traffic}"
        elif meant is not None and version != meant:
            yield f"label {label} of {model} leads to version {version} instead of version {meant}"


def label_notes(model: str, wanted: Mapping[str, int], reached: Mapping[str, int]) -> Iterator[str]:
    """Yield a line for each label that the server has and the file does not."""
    for label in sorted(reached.keys() - wanted.keys()):
        yield f"label {label} of {model} leads to version {reached[label]}; the file does not have it"
