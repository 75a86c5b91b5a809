"""The digest of a sealed value tells equal from different, and shows nothing of it."""

import cast

NOW = cast.NOW


def test_equal_values_of_a_field_have_equal_digests_and_others_have_not():
    box = cast.with_keys(cast.vault(), cast.AGREED, cast.WITHDREW)
    one, other = (
        box.seal_values(who, {"name.given": text}, {"name.given": 1}, NOW)[0]
        for who, text in ((cast.AGREED, "Ayanda"), (cast.WITHDREW, "Ayanda"))
    )
    digest = box.value_mac(cast.AGREED, one, NOW)
    assert digest == box.value_mac(cast.WITHDREW, other, NOW)
    assert digest == box.text_mac("name.given", "Ayanda")
    assert digest != box.text_mac("name.given", "Ayandi")
    assert digest != box.text_mac("name.family", "Ayanda")
    assert b"Ayanda" not in digest
