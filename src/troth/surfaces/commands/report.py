"""The monthly report on the command line."""

from pathlib import Path

from troth.surfaces import reporting
from troth.surfaces.commands.answer import Answer
from troth.surfaces.commands.call import Call
from troth.surfaces.commands.rights import write_file


def report(call: Call, month: str, pdf: str) -> Answer:
    """Count up to now and tell a month."""
    with call.opened() as ws:
        told = reporting.make(ws, month, call.actor(ws))
        ws.sign()
        lines = [reporting.headline(told)]
        lines += [f"  {number:>12}  {label}" for number, label in reporting.figures(told)]
        data = reporting.data(ws, told)
        if pdf:
            write_file(Path(pdf), reporting.paper(ws, told))
            lines.append(f"Written to {pdf}")
    return Answer(data, lines)
