"""The reference of the configuration, from the fields that state its variables."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields

from guildhook.configuration import CONFIGURATIONS, DescribedField, variables
from guildhook.sandbox import Limits
from reference.attributes import described_attributes
from reference.markdown import amount, code, sentence, table, whole_page


def page() -> str:
    return whole_page(
        "Variables",
        "A function reads these variables once, when it starts. [Configuration](../configuration.md) explains secrets, "
        "connections to the database, and limits of single guilds.",
        table(("variable", "read by", "meaning", "default"), _variables()),
        "## Limits of a run",
        "`on_message`, `compile_plugin` and `admin_api` read the limits of a run.",
        table(("variable", "meaning", "default"), _limits()),
    )


def _variables() -> Iterator[tuple[str, str, str, str]]:
    for name, (readers, described) in _described().items():
        if name != "GUILDHOOK_LIMITS":
            value, more = described.variable.value, described.variable.more
            meaning = f"{value[0].upper()}{sentence(value[1:])} {more}"
            yield code(name), ", ".join(map(code, readers)), meaning, _default(described)


def _described() -> Mapping[str, tuple[list[str], DescribedField]]:
    """The functions that read a variable, and its field, by the variable's name. A required one goes before another."""
    found: dict[str, tuple[list[str], DescribedField]] = {}
    for function, kind in CONFIGURATIONS.items():
        for each in variables(kind):
            readers, before = found.get(each.name, ([], each))
            found[each.name] = [*readers, function], each if each.default is MISSING else before
    return found


def _default(described: DescribedField) -> str:
    default = described.default
    if default is MISSING:
        return "needed"
    if default is None or isinstance(default, bool):
        return str(default).lower()
    return _number(described.name, default) if isinstance(default, int) else code(str(default))


def _limits() -> Iterator[tuple[str, str, str]]:
    described = described_attributes(Limits)
    for limit in fields(Limits):
        name = f"GUILDHOOK_LIMITS__{limit.name.upper()}"
        yield code(name), described[limit.name], _number(name, getattr(Limits(), limit.name))


def _number(name: str, value: int) -> str:
    """A number as an operator writes it, and bytes also in larger units."""
    return amount(name, value).replace(f"{value:,}", str(value), 1)
