"""The opt-out signal of a browser counts only if it is exactly that; it never means yes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.engines.signals import UNKNOWN, Support, gpc, read_support, support_statement


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ([], False),
        ([("Sec-GPC", "1")], True),
        ([("sec-gpc", "1")], True),
        ([("Sec-GPC", " 1 ")], True),  # HTTP's optional space is no part of a value
        ([("Sec-GPC", "\t1")], True),
        ([("Sec-GPC", "0")], False),
        ([("Sec-GPC", "true")], False),
        ([("Sec-GPC", "1;q=1")], False),
        ([("Sec-GPC", "1, 1")], False),
        ([("Sec-GPC", "")], False),
        ([("Sec-GPC", "\u00a01")], False),
        ([("Sec-GPC", "１")], False),
        ([("Sec-GPC", "0"), ("Sec-GPC", "1")], True),
        ([("Sec-GPC", "0"), ("Sec-GPC", "no")], False),
        ([("DNT", "1")], False),
        ([("X-Sec-GPC", "1")], False),
    ],
)
def test_a_request_carries_the_signal_only_if_a_header_is_exactly_1(headers, said):
    assert gpc(headers) is said
    if len(dict(headers)) == len(headers):
        assert gpc(dict(headers)) is said


@given(st.text(max_size=6))
def test_nothing_but_1_with_space_around_it_is_the_signal(value):
    assert gpc({"Sec-GPC": value}) is (value.strip(" \t") == "1")


@given(st.lists(st.tuples(st.sampled_from(["Sec-GPC", "DNT", "Accept"]), st.text(max_size=3))))
def test_one_more_header_never_takes_the_signal_back(headers):
    assert gpc([*headers, ("Sec-GPC", "1")])
    assert gpc([("Sec-GPC", "1"), *headers])


@pytest.mark.parametrize(
    ("kind", "body", "read"),
    [
        ("application/json", b'{"gpc": true, "lastUpdate": "2026-11-17"}', (True, "2026-11-17")),
        ("application/json; charset=utf-8", b'{"gpc": false}', (False, "")),
        ("APPLICATION/JSON", b'{"gpc": true, "more": [1]}', (True, "")),
        ("application/json", b'{"gpc": true, "lastUpdate": "2026-11-17T08:00:00Z"}',
         (True, "2026-11-17T08:00:00Z")),
        ("application/json", b'{"gpc": true, "lastUpdate": "2026-11-17T08:00:00.5+02:00"}',
         (True, "2026-11-17T08:00:00.5+02:00")),
        ("text/html", b'{"gpc": true}', None),
        ("", b'{"gpc": true}', None),
        ("application/json", b'{"gpc": 1}', None),
        ("application/json", b'{"gpc": "true"}', None),
        ("application/json", b"{}", None),
        ("application/json", b"[true]", None),
        ("application/json", b'{"gpc": true', None),
        ("application/json", b"\xff", None),
        ("application/json", b'{"gpc": true, "lastUpdate": "yesterday"}', None),
        ("application/json", b'{"gpc": true, "lastUpdate": "2026-13-01"}', None),
        ("application/json", b'{"gpc": true, "lastUpdate": 20261117}', None),
        ("application/json", b"[" * 100_000, None),
    ],
)  # fmt: skip
def test_a_sites_statement_out_of_form_leaves_its_support_unknown(kind, body, read):
    assert read_support(kind, body) == (UNKNOWN if read is None else Support(*read))


def test_our_own_statement_reads_as_honouring_the_signal():
    assert read_support("application/json", support_statement("2026-11-17")) == Support(
        True, "2026-11-17"
    )
