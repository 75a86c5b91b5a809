"""The monthly report on the command line."""

from pathlib import Path

from troth import app
from troth.surfaces import reporting
from troth.surfaces.commands.answer import Answer
from troth.surfaces.commands.call import Call, export_data, export_lines, refused
from troth.surfaces.commands.rights import write_file
from troth.terms import Refusal


def report(call: Call, month: str, pdf: str) -> Answer:
    """Count up to now and tell a month."""
    with call.opened() as ws:
        told = reporting.make(ws, month, call.actor(ws))
        ws.sign()
        lines = [reporting.headline(told)]
        lines += [f"  {number:>12}  {label}" for number, label in reporting.figures(told)]
        data = reporting.data(ws, told)
        if pdf:
            left = app.take_report(ws, f"{told.first:%Y-%m}", call.actor(ws))
            if isinstance(left, Refusal):
                return refused(left, "No file was written.")
            ws.sign()
            write_file(Path(pdf), reporting.paper(ws, told, left.line()))
            lines += [f"Written to {pdf}", *export_lines(left)]
            data |= export_data(left)
    return Answer(data, lines)
