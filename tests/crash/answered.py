"""What a house answered for before it was killed: owed ever after."""

from collections import defaultdict
from dataclasses import dataclass, field


@dataclass
class Told:
    """What the house answered for, gathered over all rounds."""

    names: list = field(default_factory=list)
    heads: dict = field(default_factory=lambda: defaultdict(dict))
    left: dict = field(default_factory=dict)
    """Person → (name, mails received when they were answered, how many may follow)."""
    erased: dict = field(default_factory=dict)
    deleted: dict = field(default_factory=lambda: defaultdict(set))
    sent: set = field(default_factory=set)
    signed: int = 0
    cosigned: int = 0
    epoch: int = 1
    vkeys: set = field(default_factory=set)
    backups: dict = field(default_factory=dict)
    copies: set = field(default_factory=set)
    looks: set = field(default_factory=set)
    unknown: int = 0
    """Messages a kill may have left in doubt: one a killed hand-over, no more."""
    journal: list = field(default_factory=list)
    shredded: set = field(default_factory=set)
    fence: int = 0
    mails: list = field(default_factory=list)

    def hear(self, line, slack=0):
        """Take in one line a process told; `slack`: mails another process may have had in hand."""
        kind = line.get("kind")
        if line["say"] == "names":
            self.names += line["names"]
        if line["say"] != "done":
            return
        if "n" in line:
            person = bytes.fromhex(line["person"])
            self.heads[person][line["n"]] = line["c"]
            if kind == "left":
                self.left.setdefault(person, (line["name"], line["mails"], slack))
            if kind == "deleted":
                self.deleted[person].update(line["scopes"])
            if kind == "looked" and line["seen"]:
                self.looks.add((person, line["n"]))
        elif kind == "erased":
            self.erased[bytes.fromhex(line["person"])] = line["name"]
        elif kind == "sent":
            self.sent.add(line["name"])
        elif kind == "signed":
            self.signed = max(self.signed, line["size"])
        elif kind == "cosigned":
            self.cosigned = max(self.cosigned, line["size"])
        elif kind == "rolled":
            self.epoch = max(self.epoch, line["epoch"])
        elif kind == "log key":
            self.vkeys.add(line["vkey"])
        elif kind == "backed up":
            self.backups[line["path"]] = line["digest"]
        elif kind == "copied":
            self.copies.add(line["path"])
