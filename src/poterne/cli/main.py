"""`poterne`: the entry point. Sub-commands are imported when they are called, so that `--help` is quick."""

import importlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from poterne import __version__

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "lab": ("lab", "A whole mail world on this machine, to try everything."),
    "setup": ("setup", "Make a new instance: settings, keys, first domain."),
    "serve": ("serve", "Run the server."),
    "check": ("check", "Are the settings sound, and what would they expose?"),
    "domain": ("domain", "Domains whose mail is delivered here."),
    "dns": ("dns", "What DNS is to say of a domain, and whether it does."),
    "dkim": ("dkim", "Keys that sign the mail of your domains."),
    "report": ("report", "What others report of mail in your name, and the next safe step."),
    "client": ("client", "What people type into their mail program, as text, profile or QR code."),
    "account": ("account", "People and roles with a mailbox."),
    "alias": ("alias", "Addresses whose mail goes to accounts, or elsewhere."),
    "sender": ("sender", "Scripts and printers that send."),
    "queue": ("queue", "Mail that waits to go out."),
    "hold": ("hold", "Mail that is held because somebody sent too much."),
    "quarantine": ("quarantine", "Mail that is kept from its mailbox until somebody decides."),
    "trace": ("trace", "Who sent what to whom, where it is, and why it was refused."),
    "retention": ("retention", "How long mail is kept, and what is deleted when."),
    "import": ("importing", "Bring mail from another server, mbox files or a Maildir."),
    "export": ("exporting", "Write an account's mail into files: a Maildir, or mbox."),
    "store": ("store", "Integrity of what is stored."),
    "backup": ("backup", "Copy an instance while it runs."),
    "restore": ("restore", "Make an instance's data from a backup."),
}


class LazyGroup(click.Group):
    """Knows its commands by name and summary; imports one when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"poterne.cli.{COMMANDS[cmd_name][0]}")
        command = module.command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="poterne")
@click.option(
    "-c", "--config", "config", type=click.Path(path_type=Path, dir_okay=False), envvar="POTERNE_CONFIG", metavar="FILE",
    help="Settings file; else $POTERNE_CONFIG, ./poterne.toml, or /etc/poterne/poterne.toml.",
)  # fmt: skip
@click.pass_context
def cli(ctx: click.Context, config: Path | None) -> None:
    """Poterne: the mail server that can be opened to the Internet without fear."""
    ctx.obj = config


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what an old terminal can't show must not end a command half-way
            stream.reconfigure(errors="backslashreplace")
    cli.main(args=list(arguments) if arguments is not None else None, prog_name="poterne")
