"""Registry of names: built-in and registered parts, and one line for a name that is neither."""

from dataclasses import dataclass
from enum import StrEnum

import pytest

from nmt.config.registry import Registry
from nmt.errors import UserError


class Shape(StrEnum):
    """Built-in names of the tests."""

    round = "round"
    square = "square"


@dataclass
class Settings:
    """Configuration with one name."""

    shape: str | None


class Oval:
    """A part."""


@pytest.fixture
def registry() -> Registry:
    return Registry("shape", Shape)


def test_names_are_the_built_in_ones_and_those_that_were_registered(registry: Registry) -> None:
    registry.register("oval", Oval)
    assert registry.names == ["round", "square", "oval"]
    assert registry.find("oval") is Oval
    for value in (None, "round", "oval"):
        assert list(registry.problems(Settings(value), "shape")) == []


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("squara", "is 'squara', which is neither built in (round, square) nor registered; did you mean square?"),
        ("xyz", "is 'xyz', which is neither built in (round, square) nor registered; correct the name, or import"),
        ("a\nb\x1b", r"is 'a\nb\x1b', which"),
        ("x" * 5000, "which is neither"),
    ],
)
def test_another_name_is_a_problem_of_one_short_line(registry: Registry, value: str, said: str) -> None:
    ((field, sentence),) = registry.problems(Settings(value), "shape")
    assert field == "shape"
    assert said in sentence
    assert "nmt.register_shape(" in sentence
    assert "\n" not in sentence
    assert len(sentence) < 400


def test_a_part_that_was_not_registered_is_not_found(registry: Registry) -> None:
    with pytest.raises(UserError, match="the shape 'round' is neither built in"):
        registry.find("round")


@pytest.mark.parametrize("name", ["", "Oval", "1st", "a-b", "a.b", "null", "true", "x" * 65, 3, "ä"])
def test_a_name_that_a_configuration_could_misread_is_refused(registry: Registry, name: str) -> None:
    with pytest.raises(UserError, match="cannot be the name of a registered shape"):
        registry.register(name, Oval)
    assert registry.registered == {}


def test_a_name_has_one_meaning(registry: Registry) -> None:
    registry.register("oval", Oval)
    registry.register("oval", Oval)
    with pytest.raises(UserError, match=r"the shape oval is registered already, as .*Oval"):
        registry.register("oval", Shape)
    with pytest.raises(UserError, match="the shape round is built in"):
        registry.register("round", Oval)
