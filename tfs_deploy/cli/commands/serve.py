"""``tfs-deploy serve``: the embedded server in the foreground, with tensorflow_model_server's flags."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output


class _FlagHelp(click.Command):
    """Lists the server's flags instead of click's own options."""

    def get_help(self, ctx: click.Context) -> str:
        from tfs_deploy.server.process.flags import help_text

        del ctx
        return help_text("tfs-deploy serve", inspect.cleandoc(self.help or ""))


@click.command(
    cls=_FlagHelp,
    context_settings={"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]},
)
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def command(output: Output, flags: tuple[str, ...]) -> int:
    """Run the embedded server in the foreground until SIGTERM or Ctrl-C.

    A model that is not there is an error here; `python -m tfs_deploy.server` waits for it, as the original does.
    """
    from tfs_deploy.server.__main__ import run
    from tfs_deploy.server.process.preflight import check_models_on_disk

    del output
    return run(list(flags), check=check_models_on_disk)
