"""The doctor on the command line; see `surfaces.commands.doctor`."""

from typing import TYPE_CHECKING

import click

from troth.surfaces.commands.answer import Answer
from troth.surfaces.frame import everywhere

if TYPE_CHECKING:
    from troth.surfaces.commands.call import Call


@click.command("doctor")
@everywhere
def doctor(call: "Call") -> Answer:
    """Look at every protection now; exit 1 where one does not hold."""
    from troth.surfaces.commands import doctor as told

    return told.doctor(call)
