"""How `troth keys` is spelt."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from troth.surfaces.commands.answer import Answer
from troth.surfaces.frame import everywhere

if TYPE_CHECKING:
    from troth.surfaces.commands.call import Call


@click.group()
def keys() -> None:
    """The keys everything is sealed under: epochs, shares, copies."""


@keys.command("list")
@everywhere
def keys_list(call: "Call") -> Answer:
    """Show the epochs, who holds their keys, and what can be promised of their end."""
    from troth.surfaces.commands import keys as doing

    return doing.listed(call)


@keys.command("roll")
@everywhere
def keys_roll(call: "Call") -> Answer:
    """Begin a new epoch now; what was shredded comes under the end of the one before."""
    from troth.surfaces.commands import keys as doing

    return doing.roll(call)


@keys.command("destroy-due")
@everywhere
def keys_destroy_due(call: "Call") -> Answer:
    """Destroy the epochs whose days are over; says so in a public entry each."""
    from troth.surfaces.commands import keys as doing

    return doing.destroy_due(call)


@keys.command("rotate")
@click.option("--person", default="", metavar="PERSON", help="Only this one.")
@click.option("--all", "everyone", is_flag=True, help="Everybody; goes on where it stopped.")
@everywhere
def keys_rotate(call: "Call", person: str, *, everyone: bool) -> Answer:
    """Give people new keys and seal anew what they have; make a new backup afterwards."""
    from troth.surfaces.commands import keys as doing

    return doing.rotate(call, person, everyone=everyone)


@keys.command("escrow")
@click.option("--shares", default=3, show_default=True, help="How many shares.")
@click.option("--need", default=2, show_default=True, help="How many give the key back.")
@click.option("--out", required=True, metavar="DIR", help="Where the shares are written.")
@everywhere
def keys_escrow(call: "Call", shares: int, need: int, out: str) -> Answer:
    """Split the key in force into shares for several hands, as text and as pages to print."""
    from troth.surfaces.commands import keys as doing

    return doing.escrow(call, shares, need, Path(out))


@keys.command("recover")
@click.argument("shares", metavar="SHARE...", nargs=-1, required=True)
@click.option("--put-back", "back", is_flag=True, help="Put the key back where it was lost.")
@everywhere
def keys_recover(call: "Call", shares: tuple[str, ...], *, back: bool) -> Answer:
    """Try shares: say whether they give the key in force back. Changes nothing by itself."""
    from troth.surfaces.commands import keys as doing

    return doing.recover(call, [Path(each) for each in shares], back=back)


@keys.command("copy")
@click.argument("out", metavar="OUT")
@everywhere
def keys_copy(call: "Call", out: str) -> Answer:
    """Copy the key store, sealed, to another place than the data's backups."""
    from troth.surfaces.commands import keys as doing

    return doing.copy(call, Path(out))


@keys.command("restore")
@click.argument("archive", metavar="ARCHIVE")
@click.option(
    "--share", "shares", multiple=True, metavar="SHARE", help="Shares, if no key is left."
)
@everywhere
def keys_restore(call: "Call", archive: str, shares: tuple[str, ...]) -> Answer:
    """Bring a copy of the key store back; what was erased since stays erased."""
    from troth.surfaces.commands import keys as doing

    return doing.restore(call, Path(archive), [Path(each) for each in shares])
