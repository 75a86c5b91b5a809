"""How `troth witness` and the keys of the ledger are spelt."""

from typing import TYPE_CHECKING

import click

from troth.surfaces.commands.answer import Answer
from troth.surfaces.frame import everywhere

if TYPE_CHECKING:
    from troth.surfaces.commands.call import Call


@click.group()
def witness() -> None:
    """Witnesses outside the house: how they stand; and to be one for others."""


@witness.command("status")
@everywhere
def witness_status(call: "Call") -> Answer:
    """Show each witness, what it last cosigned, and whether enough did; exit 1 if too few."""
    from troth.surfaces.commands import witness as act

    return act.status(call)


@witness.command("ask")
@everywhere
def witness_ask(call: "Call") -> Answer:
    """Sign what is unsigned and ask every witness now; the worker does so each minute."""
    from troth.surfaces.commands import witness as act

    return act.ask(call)


@witness.command("policy")
@everywhere
def witness_policy(call: "Call") -> Answer:
    """Print the policy outsiders verify receipts under: keys, witnesses, quorum."""
    from troth.surfaces.commands import witness as act

    return act.policy(call)


@witness.command("init")
@click.option("--data", required=True, metavar="FILE", help="The witness's file; its key beside.")
@click.option("--name", required=True, metavar="NAME", help="Name of the key: witness.example/w1.")
@everywhere
def witness_init(call: "Call", data: str, name: str) -> Answer:
    """Make a witness's key and its file, and print the vkey; needs no workspace."""
    from troth.surfaces.commands import witness as act

    return act.init(call, data, name)


@witness.command("serve")
@click.option("--data", required=True, metavar="FILE", help="The witness's file.")
@click.option("--log", "logs", multiple=True, required=True, metavar="VKEY", help="A log's key.")
@click.option("--port", type=click.IntRange(1, 65_535), default=8_090, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS")
@click.option("--new-key", default="", metavar="NAME", help="The file is lost: begin a new key.")
@everywhere
def witness_serve(  # noqa: PLR0913 - its options
    call: "Call", data: str, logs: tuple[str, ...], port: int, host: str, new_key: str
) -> Answer:
    """Be a witness for the logs named; needs no workspace. https is a proxy's part."""
    from troth.surfaces.commands import witness as act

    return act.serve(call, data, logs, (host, port), new_key)


@click.command("keys")
@everywhere
def ledger_keys(call: "Call") -> Answer:
    """Show every key that signs or signed for the ledger."""
    from troth.surfaces.commands import witness as act

    return act.keys(call)


@click.command("rotate")
@click.option("--end", is_flag=True, help="End the overlap: the newest key signs alone.")
@everywhere
def ledger_rotate(call: "Call", *, end: bool) -> Answer:
    """Let a new key sign beside the old one; with --end the old one stops."""
    from troth.surfaces.commands import witness as act

    return act.retire(call) if end else act.rotate(call)


@click.command("disown")
@click.argument("vkey")
@click.option("--cutoff", type=click.IntRange(0), required=True, metavar="SIZE")
@everywhere
def ledger_disown(call: "Call", vkey: str, cutoff: int) -> Answer:
    """Disown a stolen key: what it signed above SIZE is not ours. Rotate first."""
    from troth.surfaces.commands import witness as act

    return act.disown(call, vkey, cutoff)


LEDGER = (ledger_keys, ledger_rotate, ledger_disown)
"""Commands of the group `ledger` that are about its keys."""
