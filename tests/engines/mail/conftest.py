import time
from functools import cache

import dkim as oracle
import pytest

from troth.crypto import RsaKey, rsa_generate
from troth.engines.mail import Envelope, Signer, dns_record, parse_template, sign
from troth.engines.mail.dkim_check import check_signatures

SOURCE = '''
name = "winback"
version = 7
subject = "{{first_name}}, your favourites are back"
preheader = "Kept for {{first_name}} until Sunday"
hosts = ["marula.example"]
mjml = """<mjml lang="en"><mj-body><mj-section><mj-column>
<mj-text>Hello {{first_name}},  a  <b>warm</b> welcome &amp; é</mj-text>
<mj-button href="{{offer}}">Go</mj-button>
<mj-text><a href="https://marula.example/p/{{sku}}" title="{{first_name}}">Look</a></mj-text>
</mj-column></mj-section>
{{#favourites}}<mj-section>{{#products}}<mj-column><mj-text>{{products.title}}</mj-text></mj-column>{{/products}}</mj-section>{{/favourites}}
</mj-body></mjml>"""
text = """Hello {{first_name}},
  see {{offer}} and https://marula.example/p/{{sku}}.
{{#favourites}}{{#products}}- {{products.title}}
{{/products}}{{/favourites}}.
From us"""

[slots.first_name]
category = "identity.name"
escaping = "text"
fallback = "there"
max_chars = 60

[slots.offer]
category = ""
escaping = "link"
fallback = "https://marula.example/offers"
max_chars = 400

[slots.sku]
category = "behaviour.purchases"
escaping = "part"
fallback = "all"
max_chars = 60

[sections.favourites]
category = "behaviour.purchases"

[repeats.products]
category = "behaviour.purchases"
maximum = 3

[repeats.products.slots.title]
category = "behaviour.purchases"
escaping = "text"
fallback = "One of our classics"
max_chars = 80
'''

ALL = frozenset({"identity.name", "behaviour.purchases"})
PEM = rsa_generate()
NOW = int(time.time())


@pytest.fixture(scope="session")
def template():
    return parse_template(SOURCE)


@pytest.fixture(scope="session")
def signers():
    return (
        Signer("marula.example", "e1", "ed25519-sha256", bytes(range(32))),
        Signer("marula.example", "r1", "rsa-sha256", RsaKey(PEM)),
    )


@pytest.fixture(scope="session")
def signed(signers):
    """Sign a draft with both keys, now."""
    return lambda made: sign(made, signers, NOW)


@pytest.fixture(scope="session")
def accepted(signers):
    """Judge a message with dkimpy, DNS answered from `dns_record`: one verdict per signature."""
    records = {f"{n}.".encode(): "".join(t).encode() for n, t in map(dns_record, signers)}

    def judge(raw, index):
        try:
            return oracle.DKIM(raw).verify(index, lambda name, timeout=5: records[name])
        except oracle.DKIMException:
            return False

    return lambda raw: [judge(raw, index) for index in range(len(signers))]


@pytest.fixture(scope="session")
def passes(signers):
    """Judge a message with our own checker: one verdict per signature."""
    records = {s.selector: "".join(dns_record(s)[1]) for s in signers}
    return lambda raw: [
        found.state == "pass" for found in check_signatures(raw, lambda s, _: records[s], NOW)
    ]


@cache
def envelope(**changes):
    given = {
        "from_name": "Marula",
        "from_address": "news@marula.example",
        "to_address": "zoe@customer.example",
        "message_id": "<a1@marula.example>",
        "date_s": NOW,
        "list_id": "offers.marula.example",
        "unsubscribe_url": "https://marula.example/u/abc",
        "ref": "ref1",
    }
    return Envelope(**(given | changes))


@pytest.fixture(scope="session")
def letter():
    return envelope


@pytest.fixture(scope="session")
def now():
    return NOW


@pytest.fixture(scope="session")
def source():
    return SOURCE


@pytest.fixture(scope="session")
def everything():
    """Every category the sample template can use."""
    return ALL
