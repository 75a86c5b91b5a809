"""The data map on the command line; see `surfaces.commands.datamap`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from troth.surfaces.commands.answer import Answer
from troth.surfaces.frame import everywhere

if TYPE_CHECKING:
    from troth.surfaces.commands.call import Call


@click.group("map")
def data_map() -> None:
    """Where data lies: the map, scans of other systems, one person's things."""


@data_map.command("show")
@everywhere
def show(call: "Call") -> Answer:
    """Show every part of the map, its state, and what nobody described."""
    from troth.surfaces.commands import datamap

    return datamap.show(call)


@data_map.command("scan")
@click.argument("name", default="")
@everywhere
def scan(call: "Call", name: str) -> Answer:
    """Scan the source NAME, or all of them, and compare with the mapping. Reads alone."""
    from troth.surfaces.commands import datamap

    return datamap.scan(call, name)


@data_map.command("where")
@click.argument("person", metavar="PERSON")
@click.argument("category", default="")
@click.option("--reason", default="", help="The open case or request it is for: case:ID.")
@everywhere
def where(call: "Call", person: str, category: str, reason: str) -> Answer:
    """Say where something of a person lies, or everything; a look at them, recorded first."""
    from troth.surfaces.commands import datamap

    return datamap.where(call, person, category, reason)


@data_map.command("export")
@click.option(
    "--fides", "out", required=True, metavar="OUT", help="File to write (.yml or .json)."
)
@everywhere
def export(call: "Call", out: str) -> Answer:
    """Write the whole map as Fides reads it."""
    from troth.surfaces.commands import datamap

    return datamap.export(call, Path(out))


@data_map.command("import")
@click.argument("file", metavar="FILE")
@everywhere
def import_(call: "Call", file: str) -> Answer:
    """Take in a Fides mapping: it becomes a draft under map/ and is published."""
    from troth.surfaces.commands import datamap

    return datamap.import_(call, Path(file))
