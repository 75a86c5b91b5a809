"""Unknown means no, the hour too: where the clock lags the record, every use is refused."""

from datetime import timedelta

import pytest


@pytest.mark.parametrize(("seconds", "codes"), [(0, []), (2, []), (3, ["clock_unsure"])])
def test_a_clock_more_than_two_seconds_behind_the_record_opens_nothing(house, seconds, codes):
    person = house.newcomer("one", {})
    now = house.when()
    assert house.codes(person) == []
    house.at(now - timedelta(seconds=seconds))
    assert house.codes(person) == codes
    house.at(now)
    assert house.codes(person) == []
