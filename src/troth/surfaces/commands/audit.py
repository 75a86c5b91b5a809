"""The audit trail, for whatever collects the logs of a house."""

import json
from pathlib import Path

from troth.app import audit
from troth.surfaces.commands.answer import Answer
from troth.surfaces.commands.call import Call


def export(call: Call, since: int, to: str) -> Answer:
    """Print the lines, or append what is new to a file that remembers how far it is."""
    with call.opened() as ws:
        if to:
            count, after = audit.append(ws, Path(to))
            data = {"lines": count, "next": after}
            return Answer(data, [f"{count} lines appended; the next begins at entry {after}."])
        found = list(audit.lines(ws, since))
    return Answer(
        {"lines": found}, [json.dumps(line, sort_keys=True) for line in found] or ["Nothing new."]
    )
