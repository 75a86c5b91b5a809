"""Webhooks are signed as the specification says, and a forged one is never believed."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.engines import webhooks
from troth.errors import InvalidInput

SECRET = b"s" * 32
NOW = 1_795_000_000


def test_a_signature_is_the_one_the_specification_defines():
    headers = webhooks.sign(SECRET, "msg_1", NOW, b'{"a":1}')
    by_hand = hmac.new(SECRET, b'msg_1.1795000000.{"a":1}', hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(by_hand).decode()
    assert webhooks.verify([SECRET], headers, b'{"a":1}', NOW) == "msg_1"


def test_the_published_example_of_the_specification_verifies():
    secret = webhooks.read_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert webhooks.verify([secret], headers, b'{"test": 2432232314}', 1614265330)


def test_while_a_secret_is_replaced_both_count():
    headers = webhooks.sign(SECRET, "m", NOW, b"x")
    assert webhooks.verify([b"t" * 32, SECRET], headers, b"x", NOW) == "m"
    both = dict(headers)
    both["webhook-signature"] = "v2,abc v1,AAAA " + headers["webhook-signature"]
    assert webhooks.verify([SECRET], both, b"x", NOW) == "m"


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "other"}, {"webhook-timestamp": str(NOW + 1)}, {"webhook-signature": ""},
        {"webhook-signature": "v1,AAAA"}, {"webhook-id": ""}, {"webhook-timestamp": "-5"},
        {"webhook-timestamp": "１７９５"},
    ],
)  # fmt: skip
def test_one_changed_part_and_it_is_not_believed(change):
    headers = webhooks.sign(SECRET, "m", NOW, b"x") | change
    with pytest.raises(InvalidInput):
        webhooks.verify([SECRET], headers, b"x", NOW)


@pytest.mark.parametrize("late", [-301, 301, 10**9])
def test_an_old_one_and_one_from_the_future_are_not_believed(late):
    headers = webhooks.sign(SECRET, "m", NOW, b"x")
    with pytest.raises(InvalidInput):
        webhooks.verify([SECRET], headers, b"x", NOW + late)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_no_other_body_passes_under_a_signature(signed, sent):
    headers = webhooks.sign(SECRET, "m", NOW, signed)
    if signed == sent:
        assert webhooks.verify([SECRET], headers, sent, NOW) == "m"
    else:
        with pytest.raises(InvalidInput):
            webhooks.verify([SECRET], headers, sent, NOW)


def test_a_secret_is_read_back_as_it_was_written():
    assert webhooks.read_secret(webhooks.secret_text(SECRET)) == SECRET
    for wrong in ("", "whsec_", "whsec_AAAA", webhooks.secret_text(SECRET)[6:], "whsec_%%%"):
        with pytest.raises(InvalidInput):
            webhooks.read_secret(wrong)
    with pytest.raises(InvalidInput):
        webhooks.sign(SECRET, "a.b", NOW, b"")
