# SPDX-License-Identifier: Apache-2.0
"""Where shells load completion scripts from: writing one there, and taking it away."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.atomic import write_files
from tfs_deploy.cli.line.shells import PROGRAM, script
from tfs_deploy.errors import EnvironmentFault, file_hint

if TYPE_CHECKING:
    from collections.abc import Mapping

#: ends the line that is added to a shell's start file, so that it is found again
_MARK: Final = f"# {PROGRAM} completion"
#: where Debian, Fedora, Homebrew (both) and a source build keep bash-completion, which loads scripts when needed
_BASH_COMPLETION: Final = (
    "/usr/share/bash-completion/bash_completion",
    "/etc/bash_completion",
    "/usr/local/share/bash-completion/bash_completion",
    "/usr/local/etc/profile.d/bash_completion.sh",
    "/opt/homebrew/etc/profile.d/bash_completion.sh",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the script of a shell goes, and the line of a start file that loads it where the shell does not."""

    script: Path
    start_file: Path | None = None
    line: str = ""


def place_of(shell: str, environment: Mapping[str, str], *, loads_itself: bool) -> Place:
    """Return the place of a shell's script.

    ``loads_itself``: bash-completion is installed, which loads the script at the first TAB. zsh has no directory of its
    user that it loads from; fish has one.
    """
    home = Path(environment.get("HOME") or Path.home())
    data = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share")
    if shell == "fish":
        folder = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "fish"
        return Place(folder / "completions" / f"{PROGRAM}.fish")
    if shell == "zsh":
        path = data / PROGRAM / "completion.zsh"
        # without the completion system the script has nothing to register with
        load = f"(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit }}; source {_quoted(path)}"
        return Place(
            path, Path(environment.get("ZDOTDIR") or home) / ".zshrc", f"[[ -r {_quoted(path)} ]] && {{ {load} }}"
        )
    own = environment.get("BASH_COMPLETION_USER_DIR")
    path = (Path(own) if own else data / "bash-completion") / "completions" / PROGRAM
    if loads_itself:
        return Place(path)
    return Place(path, home / ".bashrc", f"[ -r {_quoted(path)} ] && . {_quoted(path)}")


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))


def find_place(shell: str) -> Place:
    """Return the place of a shell's script on this machine."""
    return place_of(shell, os.environ, loads_itself=any(Path(path).is_file() for path in _BASH_COMPLETION))


def install(shell: str, place: Place) -> list[str]:
    """Write the script and, where needed, the line that loads it; returns what was changed, one line each."""
    done = []
    try:
        text = script(shell)
        if _read(place.script) != text:
            write_files(place.script.parent, {place.script.name: text})
            done.append(f"wrote {place.script}")
        if place.start_file is not None:
            before = _read(place.start_file)
            after = f"{_without_line(before)}{place.line}  {_MARK}\n"
            if after != before:
                _replace(place.start_file, after)
                done.append(f"added a line to {place.start_file}")
    except OSError as error:
        raise _fault(error) from error
    return done


def uninstall(place: Place) -> list[str]:
    """Undo ``install``; returns what was changed, one line each."""
    done = []
    try:
        if place.script.exists():
            place.script.unlink()
            done.append(f"removed {place.script}")
        if place.start_file is not None:
            before = _read(place.start_file)
            after = _without_line(before)
            if len(after.splitlines()) < len(before.splitlines()):
                _replace(place.start_file, after)
                done.append(f"removed a line from {place.start_file}")
    except OSError as error:
        raise _fault(error) from error
    return done


def _read(path: Path) -> str:
    # surrogateescape: the rest of a start file is kept as it is, whatever its encoding
    return path.read_text(encoding="utf-8", errors="surrogateescape") if path.is_file() else ""


def _replace(path: Path, text: str) -> None:
    """Write a start file in its place: it may be a link into a directory of dotfiles, and keeps its mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", errors="surrogateescape")


def _without_line(text: str) -> str:
    """Return the text without our line, ending with a line feed."""
    kept = [line for line in text.splitlines(keepends=True) if not line.rstrip("\n").endswith(_MARK)]
    if kept and not kept[-1].endswith("\n"):
        kept[-1] += "\n"
    return "".join(kept)


def _fault(error: OSError) -> EnvironmentFault:
    return EnvironmentFault(f"{error.filename} cannot be written: {error.strerror}", hint=file_hint(error))
