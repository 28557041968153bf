# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy serve``: the embedded server in the foreground, with tensorflow_model_server's flags."""

from __future__ import annotations

import itertools
import textwrap
from typing import TYPE_CHECKING

import click

from tfs_deploy.cli.shared.help import Command

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from tfs_deploy.cli.shared.output import Output


class _FlagHelp(Command):
    """Lists the server's flags instead of click's own options."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of flags."""
        del ctx
        from tfs_deploy.cli.line.words import PART, items
        from tfs_deploy.server.process.flags import flag_names

        return items((f"--{name}=" for name in flag_names()), incomplete, PART)

    def get_help(self, ctx: click.Context) -> str:
        from tfs_deploy.server.process.flags import help_text

        formatter = ctx.make_formatter()
        self.format_help_text(ctx, formatter)
        text = help_text("tfs-deploy serve", formatter.getvalue().strip("\n"))
        lines = (textwrap.wrap(line, formatter.width, subsequent_indent=" " * 6) or [""] for line in text.splitlines())
        return "\n".join(itertools.chain.from_iterable(lines))


@click.command(
    name="serve",
    cls=_FlagHelp,
    examples=(
        'tfs-deploy serve --model_name=digits --model_base_path="$PWD/models/digits"',
        "tfs-deploy serve --rest_api_port=8501 --model_config_file=models.config",
    ),
    context_settings={"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]},
)
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def command(output: Output, flags: tuple[str, ...]) -> int:
    """Run the embedded server in the foreground.

    Use it to serve models without a deployment file, with the flags of tensorflow_model_server, until SIGTERM or
    Ctrl-C. A missing model is an error; `python -m tfs_deploy.server` waits for it, as the original does.
    """
    from tfs_deploy.server.__main__ import run
    from tfs_deploy.server.process.preflight import check_models_on_disk

    del output
    return run(list(flags), check=check_models_on_disk)
