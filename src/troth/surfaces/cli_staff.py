"""How the commands about staff from outside are spelt; they stand under `troth staff`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from troth.surfaces.commands.answer import Answer
from troth.surfaces.frame import everywhere

if TYPE_CHECKING:
    from troth.surfaces.commands.call import Call


@click.command("leavers")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--now", is_flag=True, help="Do it; without, it is only said.")
@everywhere
def leavers(call: "Call", file: Path, *, now: bool) -> Answer:
    """End the accounts of a CSV file (id, leaves) on their day; shows first what it comes to."""
    from troth.surfaces.commands import staff_feed as feed

    return feed.leaving(call, file, now=now)


@click.command("oidc-secret")
@everywhere
def oidc_secret(call: "Call") -> Answer:
    """Keep the client secret of the identity provider, read from standard input."""
    from troth.surfaces.commands import staff_feed as feed

    return feed.oidc_secret(call)


@click.command("oidc-unbind")
@click.argument("whom", metavar="WHO")
@everywhere
def oidc_unbind(call: "Call", whom: str) -> Answer:
    """Let an id be claimed anew at the identity provider, after it was renamed or handed on."""
    from troth.surfaces.commands import staff_feed as feed

    return feed.oidc_unbind(call, whom)


@click.command("scim-key")
@click.option("--days", type=click.IntRange(1, 366), default=None, help="How long it lasts [90].")
@everywhere
def scim_key(call: "Call", days: int | None) -> Answer:
    """Make the key your directory sends with SCIM, and print it, once; an older one ends."""
    from troth.surfaces.commands import staff_feed as feed

    return feed.scim_key(call, days or 0)


COMMANDS = (leavers, oidc_secret, oidc_unbind, scim_key)
