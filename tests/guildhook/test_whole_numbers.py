import json

from guildhook.whole_numbers import with_whole_numbers


def test_every_number_without_a_fraction_is_an_integer():
    value = {"a": [3.0, 1e2, -0.0, 0.5, 7, True], "b": {"c": -4.0, "d": "3.0", "e": None}}
    assert json.dumps(with_whole_numbers(value)) == json.dumps(
        {"a": [3, 100, 0, 0.5, 7, True], "b": {"c": -4, "d": "3.0", "e": None}}
    )


def test_numbers_that_fit_into_no_integer_of_64_bits_stay():
    value = [2.0**62, -(2.0**63), 2.0**63, 1e308, -1e19]
    assert json.dumps(with_whole_numbers(value)) == json.dumps([2**62, -(2**63), 2.0**63, 1e308, -1e19])


def test_numbers_that_are_not_finite_stay():
    assert with_whole_numbers([float("inf")]) == [float("inf")]
