from dataclasses import dataclass

from reference import attributes
from reference.attributes import described_attributes


@dataclass
class Base:
    first: int = 1
    """The first."""
    second: int = 2
    silent: int = 3

    def method(self) -> None:
        """This is no attribute."""


@dataclass
class Derived(Base):
    second: int = 4
    """The second,
    on two lines.
    """


def test_attributes_have_their_docstrings_and_those_of_the_bases():
    assert described_attributes(Derived) == {"first": "The first.", "second": "The second,\non two lines."}


def test_a_module_has_attributes_too():
    assert described_attributes(attributes) == {}
