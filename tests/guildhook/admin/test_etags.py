import pytest

from guildhook.admin.etags import check_condition, etag_of, is_fresh
from guildhook.admin.problems import ProblemError


@pytest.mark.parametrize(
    "met",
    ['"3"', ' "3"\t', '"2", "3"', '"3","4"', ',, "x" ,\t"3",', 'W/"3", "3"', '"a,\\b", "3"', '"", "3"', '"é", "3"'],
)
def test_the_tag_of_the_revision_meets_the_condition_also_in_a_list(met):
    check_condition(met, 3)


@pytest.mark.parametrize(
    ("if_match", "kind", "said"),
    [
        ("*", "condition-missing", "If-Match is *"),
        (" * ", "condition-missing", "If-Match is *"),
        *((text, "malformed", "no list of entity tags") for text in ("", ",", "3", '"3', "'3'", 'w/"3"', '"3" "4"')),
        *((text, "malformed", "no list of entity tags") for text in ('"3", *', '"3";q=1', '"3 "', '"3"\n', '"\x7f"')),
        ('W/"3"', "condition-failed", 'W/"3" in If-Match is a weak entity tag'),
        ('"2", W/"3"', "condition-failed", "weak"),
        ('"4"', "condition-failed", "no entity tag of this resource"),
        ('"0"', "condition-failed", "no entity tag of this resource"),
        ('"x", W/"y"', "condition-failed", "no entity tag of this resource"),
        ('"03", "-3", "3.0", "٣"', "malformed", "no list"),
        ('"03", "-3", "3.0"', "condition-failed", "no entity tag of this resource"),
        (f'"{"9" * 5_000}"', "condition-failed", "no entity tag of this resource"),
        ('"2"', "changed-meanwhile", "read it again"),
        ('W/"1", "9"', "changed-meanwhile", "read it again"),
    ],
)
def test_only_a_revision_that_the_resource_has_had_is_called_changed(if_match, kind, said):
    with pytest.raises(ProblemError) as raised:
        check_condition(if_match, 3)
    problem = raised.value.problem
    assert problem.type.endswith(f":{kind}")
    assert said in problem.detail
    assert len(problem.detail) < 300


def test_an_etag_meets_its_own_condition():
    check_condition(etag_of(0), 0)


@pytest.mark.parametrize(
    ("if_none_match", "fresh"),
    [
        ('W/"a"', True),
        ('"a"', True),
        ('"b",\t"a"', True),
        (',, W/"a" ,', True),
        (" * ", True),
        ('"b"', False),
        ('"b,W/"', False),
        ("a", False),
        ("", False),
    ],
)
def test_a_cached_file_is_fresh_by_the_weak_comparison(if_none_match, fresh):
    assert is_fresh(if_none_match, 'W/"a"') is fresh
    assert is_fresh(if_none_match, '"a"') is fresh
