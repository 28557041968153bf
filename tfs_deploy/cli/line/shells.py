# SPDX-License-Identifier: Apache-2.0
"""How bash, zsh and fish ask what TAB completes, and how they are answered.

click's scripts know words, and leave files to the shell. These also take paths that the toolkit chose, and words that
go on after a ``=`` or ``:``, at which bash breaks words. They run nothing but ``tfs-deploy``.
"""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING, Final

from click.shell_completion import BashComplete, FishComplete, ZshComplete, add_completion_class, split_arg_string

from tfs_deploy.cli.line.words import PART, PATH

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

PROGRAM: Final = "tfs-deploy"
#: the variable in which a shell says what it asks for, click's name for this program
VARIABLE: Final = "_TFS_DEPLOY_COMPLETE"

_BASH: Final = """\
# completion of %(prog_name)s for bash 4.4 and newer
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            path) compopt -o filenames; COMPREPLY+=("$value") ;;
            part) compopt -o nospace; COMPREPLY+=("$value") ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(COMP_WORDS="$COMP_LINE" COMP_POINT="$COMP_POINT" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""
_ZSH: Final = """\
#compdef %(prog_name)s
# completion of %(prog_name)s for zsh
%(complete_func)s() {
    local type key descr
    local -a response words_alone words_described open
    (( ! $+commands[%(prog_name)s] )) && return 1
    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \\
        %(complete_var)s=zsh_complete %(prog_name)s 2>/dev/null)}")
    for type key descr in ${response}; do
        case $type in
            dir) [[ $PREFIX == --*=* ]] && compset -P 1 '*='; _path_files -/ ;;
            file) [[ $PREFIX == --*=* ]] && compset -P 1 '*='; _path_files -f ;;
            part) open+=("$key") ;;
            path|plain)
                if [[ $descr == _ ]]; then words_alone+=("$key"); else words_described+=("$key:$descr"); fi ;;
        esac
    done
    (( $#words_described )) && _describe -V unsorted words_described -U
    (( $#words_alone )) && compadd -U -V unsorted -a words_alone
    (( $#open )) && compadd -U -S '' -V unsorted -a open
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""
_FISH: Final = """\
# completion of %(prog_name)s for fish
function %(complete_func)s
    set -l response (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) \\
        COMP_CWORD=(commandline -t) %(prog_name)s 2>/dev/null)
    for each in $response
        set -l parts (string split -m 1 , -- $each)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case path part plain
                echo -- $parts[2]
        end
    end
end
complete --no-files --keep-order --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


def words_to(line: str, point: int) -> tuple[list[str], str]:
    """Return the words of a command line before the cursor, and the part of a word at the cursor, without quotes."""
    before = line[:point]
    words = split_arg_string(before)
    at_word = bool(words) and not _ends_a_word(before)
    return (words[1:-1], words[-1]) if at_word and len(words) > 1 else (words[1:], "")


def _ends_a_word(text: str) -> bool:
    """Tell whether a white space outside quotes is the last character."""
    if not text[-1:].isspace():
        return False
    try:
        shlex.split(text)
    except ValueError:
        return False
    return not text[:-1].endswith("\\")


class Bash(BashComplete):
    """bash replaces only what follows the last ``=`` or ``:`` of a word."""

    source_template = _BASH
    _typed = ""

    @staticmethod
    def _check_version() -> None:
        """Ask no shell for its version: the script says which one it needs."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor and the one at it, both as the program would get them."""
        if "COMP_POINT" not in os.environ:
            return super().get_completion_args()
        words, self._typed = words_to(os.environ["COMP_WORDS"], int(os.environ["COMP_POINT"]))
        return words, self._typed

    def format_completion(self, item: CompletionItem) -> str:
        """Return the line of an item: what stands before the last break of the word is left out."""
        breaks = set("=:") & set(os.environ.get("COMP_WORDBREAKS", ""))
        before = self._typed[: max((self._typed.rfind(each) + 1 for each in breaks), default=0)]
        value = _whole_word(self._typed, item.value).removeprefix(before)
        return f"{item.type},{shlex.quote(value) if item.type == 'plain' else value}"


class Zsh(ZshComplete):
    """zsh quotes what it inserts, and leaves no space after a ``/`` or a part of a word."""

    source_template = _ZSH
    _typed = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor and the one at it."""
        words, self._typed = super().get_completion_args()
        return words, self._typed

    def format_completion(self, item: CompletionItem) -> str:
        """Return the three lines of an item, none of them empty."""
        return super().format_completion(_opened(item, self._typed))


class Fish(FishComplete):
    """fish leaves no space after a ``/`` or a ``=``."""

    source_template = _FISH

    def format_completion(self, item: CompletionItem) -> str:
        """Return the line of an item."""
        return super().format_completion(_opened(item, os.environ.get("COMP_CWORD", "")))


def _opened(item: CompletionItem, typed: str) -> CompletionItem:
    """Return the item as a whole word; that of a directory has a slash at its end and no space after it."""
    if item.type in ("file", "dir"):
        item.value = item.value or "_"  # the shell looks for files on its own
        return item
    if item.type == PATH and item.is_folder:
        item.value, item.type = f"{item.value}/", PART
    item.value = _whole_word(typed, item.value)
    return item


def _whole_word(typed: str, value: str) -> str:
    """Return the value, after the name of its option if both are one word: ``--model=half``."""
    option = re.match(r"--[\w-]+=", typed)
    return f"{option[0]}{value}" if option is not None and not value.startswith("--") else value


SHELLS: Final[dict[str, type[Bash | Zsh | Fish]]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}


def register() -> None:
    """Let click answer with these classes."""
    for name, shell in SHELLS.items():
        add_completion_class(shell, name)


def script(shell: str) -> str:
    """Return the script that a shell loads."""
    import click

    return SHELLS[shell](click.Command(PROGRAM), {}, PROGRAM, VARIABLE).source()
