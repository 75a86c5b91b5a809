"""Mail craft without a workspace: templates as data, prepared frames, DKIM.

template = parse_template(toml)                              # template.py
frame = compile_frame(template, categories, presence(template, values))   # frame.py
draft = frame.fill(values, Envelope(...))                    # -> Draft
raw = sign(draft, (ed25519_signer, rsa_signer), at=seconds)  # dkim.py
"""

from troth.engines.mail.dkim import Draft, Signer, dns_record, draft, sign
from troth.engines.mail.dkim_check import Checked, check_signatures
from troth.engines.mail.frame import Envelope, Frame, Frames, Values, compile_frame, presence
from troth.engines.mail.obligations import unmet
from troth.engines.mail.template import Repeat, Section, Slot, Template, parse_template

__all__ = [
    "Checked",
    "Draft",
    "Envelope",
    "Frame",
    "Frames",
    "Repeat",
    "Section",
    "Signer",
    "Slot",
    "Template",
    "Values",
    "check_signatures",
    "compile_frame",
    "dns_record",
    "draft",
    "parse_template",
    "presence",
    "sign",
    "unmet",
]
