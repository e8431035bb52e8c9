"""The small validator and a full one agree on what a notice may say."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from troth.notice import reading, schema, shape

STRANGE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2_000),
    st.sampled_from(["", "x", "GB", "<b>", "P1Y", "P1X", "2026-11-01", "eu-gdpr:A6-1-f", "clinician", "a" * 2001]),
    st.lists(st.sampled_from(["GB", "x", 1]), max_size=3),
    st.dictionaries(st.sampled_from(["id", "kind", "wish"]), st.sampled_from(["1.1", "hold", 3]), max_size=2),
)


def places(content: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of some content."""
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [at, *(place for key, value in inner for place in places(value, (*at, key)))]


def verdict(content: Any) -> bool:
    return not list(shape.problems(reading.Page("n.yaml", "", content, {})))


@settings(max_examples=60, deadline=None)
@given(choice=st.randoms(use_true_random=False), strange=STRANGE, drops=st.booleans())
def test_any_change_is_judged_as_a_full_validator_judges_it(
    plain: dict[str, Any], choice: Any, strange: Any, drops: bool
) -> None:
    content = copy.deepcopy({**plain, "sections": choice.sample(plain["sections"], 2)})
    place = choice.choice([place for place in places(content) if place])
    target: Any = content
    for part in place[:-1]:
        target = target[part]
    if drops:
        del target[place[-1]]
    else:
        target[place[-1]] = strange
    assert verdict(content) == Draft202012Validator(schema.schema()).is_valid(content), place


@pytest.mark.parametrize("clause", [7, {"kind": ["hold"]}, {"kind": {"a": 1}}])
def test_what_is_no_clause_is_told(plain: dict[str, Any], clause: Any) -> None:
    content = copy.deepcopy(plain)
    content["sections"][0]["clauses"][0] = clause
    assert not verdict(content)


def test_numbers_have_their_bounds(plain: dict[str, Any]) -> None:
    content = copy.deepcopy(plain)
    content["sections"][0]["number"] = 1_000
    (problem,) = shape.problems(reading.Page("n.yaml", "", content, {}))
    assert (problem.what, problem.hint) == ("not accepted in number: 1000", "at least 1 and at most 999")
    content["sections"][0]["number"] = 1
    content["version"] = -1
    (problem,) = shape.problems(reading.Page("n.yaml", "", content, {}))
    assert problem.hint == "at least 0"


def test_every_form_of_text_is_told_in_words_and_with_an_example() -> None:
    def patterns(rule: Any) -> Iterator[str]:
        for key, value in rule.items() if isinstance(rule, dict) else enumerate(rule) if isinstance(rule, list) else ():
            if key == "pattern" and isinstance(value, str):
                yield value
            else:
                yield from patterns(value)

    assert set(patterns(schema.schema())) == set(shape.MEANT)
    assert not [each for each in shape.MEANT.values() if "[" in each]
