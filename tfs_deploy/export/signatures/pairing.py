# SPDX-License-Identifier: Apache-2.0
"""Pair the names that a signature gives with the places of a model's own inputs or outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.names import did_you_mean, naming_hint
from tfs_deploy.text import counted

if TYPE_CHECKING:
    from tfs_deploy.export.signatures.nest import NestPath

#: what a signature says of one side; in a dict, a value of ``str`` or ``int`` is the model's own name or a position
Given: TypeAlias = "Mapping[str, Any] | Sequence[str]"


@dataclass(frozen=True)
class Place:
    """Where a model's own call takes or returns a tensor.

    ``name`` is the model's own name for it, empty if it has only a position there, as in a list. ``others`` are
    further names that it is known by, such as that of a ``keras.Input`` that hangs under a key of a dict.
    """

    path: NestPath
    name: str
    others: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The name, or another one where there is none."""
        return self.name or next(iter(self.others), "?")


def pair(signature: str, role: str, given: Given, places: Sequence[Place]) -> dict[str, int]:
    """Return the position in ``places`` of each given name.

    Names count, wherever they stand. Only what is left is paired in order, and only where the model's own call has an
    order (arguments and lists, not dicts) and no name stands at another's place.

    Raises:
        UsageError: a name is unknown, or the order would have to be guessed.
    """
    chosen = _explicit(signature, role, given, places)
    free = [name for name in given if name not in chosen]
    for known in ("name", "others"):
        for name in free:
            at = [n for n, place in enumerate(places) if _knows(place, known, name) and n not in chosen.values()]
            if name not in chosen and len(at) == 1:
                chosen[name] = at[0]
    rest = [name for name in free if name not in chosen]
    if rest:
        open_places = [number for number in range(len(places)) if number not in chosen.values()]
        _check_order(signature, role, given, rest, open_places, places, chosen)
        chosen.update(zip(rest, open_places, strict=True))
    if len(set(chosen.values())) != len(chosen):
        raise UsageError(f"Signature {signature!r}: one {role} has two names", hint=f"give each {role} one name")
    return {name: chosen[name] for name in given}


def _knows(place: Place, known: str, name: str) -> bool:
    return place.name == name if known == "name" else name in place.others


def _explicit(signature: str, role: str, given: Given, places: Sequence[Place]) -> dict[str, int]:
    """Return the places that the values of a dict say, by own name or position."""
    chosen: dict[str, int] = {}
    for name, key in given.items() if isinstance(given, Mapping) else ():
        if isinstance(key, int) and not isinstance(key, bool):
            if key not in range(len(places)):
                raise UsageError(
                    f"Signature {signature!r}: {role} {name!r} is result {key}, but there are only {len(places)}",
                    hint="results are counted from 0",
                )
            chosen[name] = key
        elif isinstance(key, str):
            at = [n for n, place in enumerate(places) if place.name == key]
            at = at or [n for n, place in enumerate(places) if key in place.others]
            if len(at) != 1:
                raise _unknown(signature, role, name, key, places)
            chosen[name] = at[0]
    return chosen


def _unknown(signature: str, role: str, name: str, key: str, places: Sequence[Place]) -> UsageError:
    verb = "take" if role == "input" else "return"
    return UsageError(
        f"Signature {signature!r}: the function does not {verb} {key!r} for {role} {name!r}",
        hint=did_you_mean(key, [place.shown for place in places]),
    )


def _check_order(
    signature: str,
    role: str,
    given: Given,
    rest: Sequence[str],
    open_places: Sequence[int],
    places: Sequence[Place],
    chosen: Mapping[str, int],
) -> None:
    """Raise ``UsageError`` unless the names that are left can only mean the places that are left, in order."""
    own = [place.shown for place in places]
    if len(rest) != len(open_places):
        raise UsageError(_count_text(signature, role, given, own), hint=_count_hint(signature, role, given, own))
    said = given if isinstance(given, Mapping) else {}
    by_name = [n for n, name in enumerate(given) if name in chosen and not isinstance(said.get(name), (str, int))]
    moved = any(chosen[name] != n for n, name in enumerate(given) if n in by_name)
    if len(rest) > 1 and (moved or not _ordered([places[n].path for n in open_places])):
        raise UsageError(
            f"Signature {signature!r}: the {role}s {', '.join(rest)} are not the model's own names "
            f"({', '.join(own)}), and their order does not tell which is which",
            hint=f"{role}s={{{', '.join(f'{new!r}: {own[n]!r}' for new, n in zip(rest, open_places, strict=True))}}} "
            "renames, whichever is meant",
        )


def _count_text(signature: str, role: str, given: Given, own: Sequence[str]) -> str:
    if role == "output":
        return f"Signature {signature!r}: {counted(len(given), 'output name')} for {counted(len(own), 'result')}"
    noun = "inputs" if isinstance(given, Mapping) else "input names"
    return f"Signature {signature!r}: {len(given)} {noun} for a model that takes {len(own)}: {', '.join(own)}"


def _count_hint(signature: str, role: str, given: Given, own: Sequence[str]) -> str:
    if role == "output":
        return "name each result, in order"
    unknown = [name for name in given if name not in own]
    return "give each one name, the model's own where it has some" if unknown else naming_hint(signature, role)


def _ordered(paths: Sequence[NestPath]) -> bool:
    """Tell whether places follow each other in arguments or lists, with no dict between them."""
    common = 0
    while all(len(path) > common for path in paths) and len({path[common] for path in paths}) == 1:
        common += 1
    return all(isinstance(step, int) for path in paths for step in path[common:])


def named_alone(signature: str, role: str, places: Sequence[Place]) -> dict[str, int]:
    """Return the places by their own names; ``UsageError`` if one has none, or two have the same."""
    names = [place.name for place in places]
    if "" in names:
        several = role == "input" and len(places) > 1
        raise UsageError(
            f"Signature {signature!r}: its {role}s have no names"
            + (f", only places: {', '.join(place.shown for place in places)}" if several else ""),
            hint=_order_hint(signature, len(places)) if several else naming_hint(signature, role),
        )
    if len(set(names)) != len(names):
        raise UsageError(
            f"Signature {signature!r}: two {role}s have the same name in {', '.join(names)}",
            hint=naming_hint(signature, role),
        )
    return {name: number for number, name in enumerate(names)}


def _order_hint(signature: str, count: int) -> str:
    """Say how to name inputs that the model takes in a list."""
    names = [f"input{number + 1}" for number in range(count)]
    listed = ", ".join(f"'{name}'" for name in names)
    return (
        f"name them in this order: signatures={{{signature!r}: Signature(inputs=[{listed}])}}, "
        f"or -s '{signature}({', '.join(names)})'"
    )
