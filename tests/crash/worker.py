"""Does one step of the house in a process of its own, so that it can be killed.

    python worker.py FOLDER STEP MOMENT [PORT | CUT]

Prints `go` when the step begins and `done` when it is over. With a cut it kills itself, as hard
as can be, at that very place.
"""

import contextlib
import os
import signal
import sys
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "stories"))

from marula import MARKETER, OFFICER, House

from troth import app
from troth.adapters.witness import FileJournal
from troth.capabilities import outreach, people, preferences, rights
from troth.capabilities.preferences import binding
from troth.errors import Conflict
from troth.kernel import cutting


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def import_files(house, cut):
    if cut == "journal":
        FileJournal.note_all = lambda *_: die()
    for path in sorted((house.folder / "in").glob("*.csv")):
        app.import_file(house.ws, path.stem.split("-")[1], path)


def candidates(house):
    with house.ws.store.look() as view:
        names = (house.folder / "candidates").read_text().split()
        return [p for p in (house.desk.find(view, name) for name in names) if p]


def book(house, _cut):
    outreach.BATCH = 40
    house.book(candidates(house))


def hand_over(house, port):
    outreach.BATCH = 40
    app.deliver(house.ws, house.campaign(), MARKETER, ("127.0.0.1", int(port)))


def erase(house, cut):
    def stop(step):
        if str(step) == cut:
            die()

    if cut == "journal":
        FileJournal.note = FileJournal.note_all = lambda *_: die()
    for person in candidates(house):
        rights.erase(house.desk, person, "rq-crash", OFFICER, house.ws.settle, rights.Steps(stop))


def delete(house, cut):
    """Delete a group of goods; `cut` names what it dies right before, or right after `make`."""
    keys = house.desk.vault.keys
    place = {
        "book": (cutting, "append_together"),
        "journal": (FileJournal, "note_all"),
        "shred": (type(keys), "shred"),
        "drop": (cutting, "drop_pointer"),
    }.get(cut)
    if place:
        setattr(*place, lambda *_: die())
    if cut == "make":
        make = type(keys).make
        type(keys).make = lambda *given: (make(*given), die())
    for person in candidates(house):
        with contextlib.suppress(Conflict):  # a run before this one did it
            choice = people.Choice("kind", group="1001")
            people.delete(house.desk, person, choice, OFFICER, house.ws.settle)


def stop(house, cut):
    """Stop everything; `cut` names what it dies right before, or right after `bind`."""
    place = {
        "book": (preferences.choices, "_record_once"),
        "journal": (FileJournal, "note_all"),
        "bind": (binding, "bind"),
        "drop": (binding, "drop_pointer"),
    }.get(cut)
    if place:
        setattr(*place, lambda *_: die())
    if cut == "listed":
        done = binding.suppress_point
        binding.suppress_point = lambda *given: (done(*given), die())
    for person in candidates(house):
        preferences.stop_everything(house.desk, person, OFFICER)


STEPS = {"import": import_files, "book": book, "hand_over": hand_over, "erase": erase,
         "delete": delete, "stop": stop}  # fmt: skip


def main(folder, step, moment, given=""):
    house = House(Path(folder), datetime.fromisoformat(moment))
    print("go", flush=True)
    STEPS[step](house, given)
    house.ws.close()
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
