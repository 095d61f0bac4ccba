"""Numbers and categories that say one thing of a whole series."""

import numpy as np
import pytest

from data.making import message
from unroll.data.series.statics import Static, told
from unroll.errors import DataError

TOWNS = ["Oslo", "Pusan", "Oslo", None, "Bergen"]


def test_a_number_is_standardised_over_the_series():
    values = [1.0, 5.0, 2.5, -7.0]
    found = Static.fit("size", [str(v) for v in values])
    assert (found.categories, found.width) == (None, 1)
    expected = (np.array(values) - np.mean(values)) / np.std(values)
    np.testing.assert_allclose([found.encoded(str(v), "A")[0] for v in values], expected, rtol=1e-12)
    assert Static.fit("size", ["3", "3"]).encoded("4", "A").tolist() == [1.0]


def test_a_category_has_a_place_of_its_own():
    found = Static.fit("town", TOWNS)
    assert found.categories == ("Bergen", "Oslo", "Pusan")
    assert [found.encoded(t, "A").tolist() for t in found.categories] == np.eye(3).tolist()


@pytest.mark.parametrize("value", ["Seoul", None, ""])
def test_a_category_never_met_is_the_mean_of_those_met(value):
    found = Static.fit("town", TOWNS)
    met = [found.encoded(town, "A") for town in TOWNS if town is not None]
    np.testing.assert_allclose(found.encoded(value, "A"), np.mean(met, axis=0), rtol=1e-12)


@pytest.mark.parametrize(
    ("value", "said"), [(None, "no value"), ("large", "'large'"), ("nan", "'nan'"), ("inf", "'inf'")]
)
def test_a_number_is_needed_where_there_were_numbers(value, said):
    found = Static.fit("size", ["1", "2", "x"])
    assert f"static column 'size' has {said} for series 'B'" in message(lambda: found.encoded(value, "B"), DataError)


@pytest.mark.parametrize("values", [TOWNS, ["1", "2.5"]])
def test_it_comes_back_from_json(values):
    found = Static.fit("s", values)
    assert Static.from_dict(found.to_dict()) == found


def test_words():
    both = [Static.fit("size", ["1", "2"]), Static.fit("town", TOWNS)]
    assert told(both) == "'size' as a number, 'town' as one of 3 categories"
