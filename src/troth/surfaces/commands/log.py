"""The workspace's log of failed commands: JSON lines without a value, a name or an address."""

import json
import os
from pathlib import Path

from troth import app
from troth.errors import Fault
from troth.surfaces import faults
from troth.terms import SECOND, Instant, zulu

NAME = "troth.log"


def note(folder: Path, command: str, fault: Fault) -> None:
    """Append one line to data/troth.log; where there is no workspace or no room, nothing."""
    told: dict[str, object] = {
        "at": zulu(Instant(app.real_seconds() * SECOND)),
        "command": command,
        "code": fault.code,
        "exit": faults.exit_of(fault.code),
    }
    if isinstance(fault, faults.Internal):
        told |= {"reference": fault.reference, "error": fault.kind, "places": fault.places}
    try:
        handle = os.open(folder / "data" / NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError:
        return
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(json.dumps(told, sort_keys=True) + "\n")
