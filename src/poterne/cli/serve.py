"""`poterne serve`."""

import gc
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from poterne.cli.common import config_path

if TYPE_CHECKING:
    from poterne.app.context import Child


@click.command("serve")
@click.option(
    "--keep-root", is_flag=True, help="Started as root, stay root: for trials on loopback and high ports only."
)
@click.pass_context
def command(ctx: click.Context, keep_root: bool) -> None:
    """Run the server in the foreground until SIGTERM. SIGHUP reads settings and certificates again."""
    gc.disable()  # until the supervisor has all code: it is no garbage, and looking for some takes 0.1 s
    from poterne.app.supervisor import Supervisor

    sys.exit(Supervisor(config_path(ctx), _child_main, keep_root=keep_root).run())


def _child_main() -> "Callable[[Child], int]":
    from poterne.app.children import main

    return main
