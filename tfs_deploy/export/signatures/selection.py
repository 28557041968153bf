# SPDX-License-Identifier: Apache-2.0
"""Select and rename the inputs and outputs of an existing signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.names import check_name, did_you_mean
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE

if TYPE_CHECKING:
    from tfs_deploy.export.signatures.signature import Signature


def choose_signature(name: str, signature: Signature, known: Sequence[str]) -> str:
    """Return the existing signature that ``signature`` is made from.

    That is the one it names, the one of the same name, ``serving_default``, or the only one; else ``UsageError``.
    """
    wanted = signature.function
    if isinstance(wanted, str):
        if wanted in known:
            return wanted
        raise UsageError(
            f"Signature {name!r}: the SavedModel has no signature {wanted!r}", hint=did_you_mean(wanted, known)
        )
    for candidate in (name, DEFAULT_SIGNATURE):
        if candidate in known:
            return candidate
    if len(known) == 1:
        return known[0]
    raise UsageError(
        f"Signature {name!r}: it does not name the signature of the SavedModel that it is made from",
        hint=f"Signature('NAME'); signatures there: {', '.join(sorted(known)) or 'none'}",
    )


def choose_names(
    signature: str, role: str, given: Mapping[str, Any] | Sequence[str] | None, known: Sequence[str]
) -> dict[str, str]:
    """Return ``{new name: existing name}``; every input must be listed, outputs may be left out.

    Args:
        signature: for messages.
        role: ``input`` or ``output``.
        given: ``None`` = all as they are; names to keep (or the new name of the only one); ``{new: existing}``.
        known: the existing names.
    """
    if given is None:
        chosen = {name: name for name in known}
    elif isinstance(given, Mapping):
        chosen = {new: old if isinstance(old, str) else new for new, old in given.items()}
    elif len(given) == len(known) == 1:
        chosen = {given[0]: known[0]}
    else:
        chosen = {name: name for name in given}
    for new, old in chosen.items():
        check_name(signature, role, new)
        if old not in known:
            raise UsageError(
                f"Signature {signature!r}: the SavedModel's signature has no {role} {old!r}",
                hint=f"{did_you_mean(old, known)} Rename with {role}s={{'new': 'existing'}}",
            )
    missing = [old for old in known if old not in chosen.values()]
    if role == "input" and missing:
        raise UsageError(
            f"Signature {signature!r}: the SavedModel's signature also takes {missing[0]!r}",
            hint="list every input; only outputs may be left out",
        )
    if len(set(chosen.values())) != len(chosen):
        raise UsageError(f"Signature {signature!r}: one {role} has two names", hint=f"give each {role} one name")
    return chosen
