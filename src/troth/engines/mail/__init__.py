"""Mail craft without a workspace: templates as data, prepared frames, DKIM.

template = parse_template(toml)                              # template.py
frame = compile_frame(template, categories, presence(template, values))   # frame.py
draft = frame.fill(values, Envelope(...))                    # -> Draft
raw = sign(draft, (ed25519_signer, rsa_signer), at=seconds)  # dkim.py
"""

from troth.engines.mail.anchor import Anchored, anchored
from troth.engines.mail.checks import check, parts_of, publishable
from troth.engines.mail.dkim import Draft, Signer, dns_record, draft, sign
from troth.engines.mail.dkim_check import Checked, check_signatures
from troth.engines.mail.findings import Finding, Wanted
from troth.engines.mail.frame import Envelope, Frame, Frames, Values, compile_frame, presence
from troth.engines.mail.links import MEASURED, Counting, countable, counted
from troth.engines.mail.obligations import unmet
from troth.engines.mail.packing import Skeleton, pack, unpack
from troth.engines.mail.returns import ReplyWords, Returned, means_stop, read_return, read_words
from troth.engines.mail.saying import lacking
from troth.engines.mail.source import (
    Block,
    blocks,
    head_of,
    require_same_marks,
    reworded,
    write_template,
)
from troth.engines.mail.template import Repeat, Section, Slot, Template, parse_template

__all__ = [
    "MEASURED",
    "Anchored",
    "Block",
    "Checked",
    "Counting",
    "Draft",
    "Envelope",
    "Finding",
    "Frame",
    "Frames",
    "Repeat",
    "ReplyWords",
    "Returned",
    "Section",
    "Signer",
    "Skeleton",
    "Slot",
    "Template",
    "Values",
    "Wanted",
    "anchored",
    "blocks",
    "check",
    "check_signatures",
    "compile_frame",
    "countable",
    "counted",
    "dns_record",
    "draft",
    "head_of",
    "lacking",
    "means_stop",
    "pack",
    "parse_template",
    "parts_of",
    "presence",
    "publishable",
    "read_return",
    "read_words",
    "require_same_marks",
    "reworded",
    "sign",
    "unmet",
    "unpack",
    "write_template",
]
