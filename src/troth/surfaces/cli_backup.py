"""How `troth backup`, `troth backups` and `troth restore` are spelt."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from troth.surfaces.commands.answer import Answer
from troth.surfaces.frame import everywhere

if TYPE_CHECKING:
    from troth.surfaces.commands.call import Call


@click.command()
@click.argument("out", metavar="OUT")
@click.option("--check", is_flag=True, help="Restore it for a trial, and record that it opens.")
@everywhere
def backup(call: "Call", out: str, *, check: bool) -> Answer:
    """Make an encrypted data backup, a file or in a folder, while the house runs."""
    from troth.surfaces.commands import backup as doing

    return doing.backup(call, Path(out), check=check)


@click.command()
@everywhere
def backups(call: "Call") -> Answer:
    """List the backups this record remembers, and how they stand."""
    from troth.surfaces.commands import backup as doing

    return doing.listed(call)


@click.command()
@click.argument("archive", metavar="ARCHIVE")
@click.option("--into", required=True, metavar="DIR", help="Folder without a record.")
@click.option("--keys", default="", metavar="COPY", help="Copy of keys/: a folder or a file.")
@click.option("--share", "shares", multiple=True, metavar="SHARE", help="If no key is left.")
@click.option("--witness", default="", metavar="DIR", help="Copy of witness/.")
@click.option("--seen", multiple=True, metavar="FILE", help="Receipt or note outsiders hold.")
@click.option("--without-journal", is_flag=True, help="Go on though nobody knows who said no.")
@everywhere
def restore(  # noqa: PLR0913 - its options
    call: "Call",
    archive: str,
    into: str,
    keys: str,
    shares: tuple[str, ...],
    witness: str,
    seen: tuple[str, ...],
    *,
    without_journal: bool,
) -> Answer:
    """Restore a data backup; opens nothing until what people said since holds again."""
    from troth.surfaces.commands import backup as doing

    given = doing.Wanted(
        Path(archive), Path(into), keys, shares, witness, seen, without_journal=without_journal
    )
    return doing.restore(call, given)


COMMANDS = (backup, backups, restore)
