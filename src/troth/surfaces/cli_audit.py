"""How `troth audit` is spelt."""

from typing import TYPE_CHECKING

import click

from troth.surfaces.commands.answer import Answer
from troth.surfaces.frame import everywhere

if TYPE_CHECKING:
    from troth.surfaces.commands.call import Call


@click.group()
def audit() -> None:
    """What staff, keys and machinery did, as JSON lines for a security team; names no customer."""


@audit.command("export")
@click.option("--since", type=click.IntRange(0), default=0, help="First entry of the ledger [0].")
@click.option("--to", default="", metavar="FILE", help="Append what is new to FILE (mode 0600).")
@everywhere
def audit_export(call: "Call", since: int, to: str) -> Answer:
    """Print the audit trail, or append what is new to a file; run it from a timer."""
    from troth.surfaces.commands import audit as trail

    return trail.export(call, since, to)


@click.command()
@everywhere
def sbom(call: "Call") -> Answer:
    """Print what runs here as a CycloneDX 1.6 bill of materials; needs no workspace."""
    from troth.surfaces.commands import sbom as materials

    return materials.sbom(call)
