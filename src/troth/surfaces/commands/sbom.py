"""What runs here, as a bill of materials."""

import json

from troth import app
from troth.app.sbom import bill
from troth.surfaces.commands.answer import Answer
from troth.surfaces.commands.call import Call
from troth.terms import SECOND, Instant


def sbom(_call: Call) -> Answer:
    """Print the bill of materials; the same with and without `--json`."""
    made = bill(Instant(app.real_seconds() * SECOND))
    return Answer(made, [json.dumps(made, indent=1, sort_keys=True)])
