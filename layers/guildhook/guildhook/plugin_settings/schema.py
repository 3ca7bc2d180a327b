"""Checks the settings schema of a plugin, and settings against it.

The dialect is a part of JSON Schema 2020-12. Keywords that are not listed are refused: without references, combinations
and patterns, the time to check settings is proportional to their size.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NoReturn

from guildhook.errors import InvalidSchemaError
from guildhook.whole_numbers import with_whole_numbers

if TYPE_CHECKING:
    from jsonschema import ValidationError

MAX_SCHEMA_BYTES: Final = 64 * 1024
"""The size of a settings schema, as UTF-8 JSON."""
_MAX_SCHEMA_LEVELS: Final = 16
"""The levels of schemas inside schemas."""
_MAX_SCHEMAS: Final = 500
"""The schemas in a settings schema, at all levels together."""
_MAX_PROPERTIES: Final = 200
"""The properties of an object in a settings schema."""
_MAX_JSON_LEVELS: Final = 100
"""The levels of JSON in the section: sixteen schemas inside one another need half of them, and values have the rest."""

MAX_SETTINGS_BYTES: Final = 64 * 1024
"""The size of a plugin's settings, as JSON."""
MAX_SETTINGS_LEVELS: Final = 32
"""The levels of lists and objects in a plugin's settings."""
_MAX_NAME_CHARS: Final = 256
"""The characters of a setting's name."""
_MAX_ERRORS: Final = 20
_SHOWN_CHARS: Final = 100

_LARGEST_NUMBER: Final = 2**53 - 1
"""Postgres and JavaScript round larger numbers differently."""
_SMALLEST_NUMBER: Final = 1e-15
"""Postgres writes out all zeros of smaller numbers."""

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_TYPES: Final = {
    "object": "an object",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
_FORMATS: Final = ("date", "time", "date-time", "email", "uri", "color", "textarea")
"""Formats tell the page how to show a setting; they are not checked."""

SettingError = tuple[str, str]
"""A JSON pointer into the settings, and an error message, which quotes no value."""


def check_schema(section: bytes) -> dict[str, Any]:
    """Parse and check the schema section of a plugin. Raises InvalidSchemaError."""
    if len(section) > MAX_SCHEMA_BYTES:
        raise InvalidSchemaError(f"it has {len(section)} bytes; the limit is {MAX_SCHEMA_BYTES}")
    try:
        schema = json.loads(
            section.decode(), object_pairs_hook=_object_without_duplicates, parse_constant=_no_such_number
        )
    except UnicodeDecodeError as error:
        raise InvalidSchemaError(f"it is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise InvalidSchemaError(f"it is nested too deeply; the limit is {_MAX_JSON_LEVELS} levels") from None
    except ValueError as error:
        raise InvalidSchemaError(f"it is not JSON: {error}") from None
    for pointer, message in _problems(schema, _MAX_JSON_LEVELS):
        raise InvalidSchemaError(f"{_shown(pointer)} {message}" if pointer else f"it {message}")
    _SchemaCheck().check(schema, "", 1)
    if schema.get("type") != "object":
        raise InvalidSchemaError('its type must be "object"')
    return dict(schema)


def check_settings(
    schema: Mapping[str, Any] | None, settings: object, secrets: Collection[str] = ()
) -> list[SettingError]:
    """Check settings against a schema that `check_schema` returned. Returns at most twenty errors.

    `secrets` are the names of the secrets that are set; they count as present if the schema requires them.
    """
    errors = check_settings_size(settings)
    if errors or schema is None or not isinstance(settings, dict):
        return errors
    secret = secret_names(schema)
    errors = [
        (_pointer([name]), "is a secret; set it with the secrets, not in the settings")
        for name in settings
        if name in secret
    ]
    errors += [
        (_pointer([name]), "is a secret that is required; set it with the secrets")
        for name in missing_secrets(schema, secrets)
        if name not in settings
    ]
    plain = _prepared(schema)
    plain["properties"] = {name: each for name, each in plain.get("properties", {}).items() if name not in secret}
    plain["required"] = [name for name in plain.get("required", ()) if name not in secret]
    rest = {name: value for name, value in settings.items() if name not in secret}
    # The errors are taken one by one: tens of thousands of items can each lack hundreds of required settings.
    found = islice(_validator()(plain).iter_errors(rest), _MAX_ERRORS)
    return [*errors, *((_pointer(error.absolute_path), _message(error)) for error in found)][:_MAX_ERRORS]


def check_settings_size(settings: object) -> list[SettingError]:
    """Check settings without a schema: their size, and values that Postgres cannot store."""
    if not isinstance(settings, dict):
        return [("", "is not a JSON object")]
    errors = list(islice(_problems(settings, MAX_SETTINGS_LEVELS), _MAX_ERRORS))
    if not errors:
        size = len(json.dumps(settings, ensure_ascii=False, separators=(",", ":")).encode())
        if size > MAX_SETTINGS_BYTES:
            errors.append(("", f"has {size} bytes of JSON; the limit is {MAX_SETTINGS_BYTES}"))
    return errors


def secret_names(schema: Mapping[str, Any] | None) -> frozenset[str]:
    """The names of the settings that a schema marks as secrets (writeOnly)."""
    properties = (schema or {}).get("properties", {})
    return frozenset(name for name, each in properties.items() if each.get("writeOnly") is True)


def missing_secrets(schema: Mapping[str, Any] | None, secrets: Collection[str]) -> list[str]:
    """The secrets that a schema requires and that are not set; `secrets` are the names of those that are."""
    secret = secret_names(schema)
    return [name for name in (schema or {}).get("required", ()) if name in secret and name not in secrets]


def _object_without_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"an object has {_shown(twice)} twice")
    return members


def _no_such_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _problems(value: object, levels: int) -> Iterator[SettingError]:
    """The parts of a value that are not JSON or that Postgres cannot store."""
    waiting: list[tuple[object, tuple[str | int, ...]]] = [(value, ())]
    while waiting:
        each, path = waiting.pop()
        if len(path) >= levels and isinstance(each, dict | list):
            yield _pointer(path), f"is nested too deeply; the limit is {levels} levels"
        elif isinstance(each, dict):
            for name in each:
                if not isinstance(name, str) or len(name) > _MAX_NAME_CHARS:
                    yield _pointer(path), f"has a name with more than {_MAX_NAME_CHARS} characters"
                elif wrong := _wrong_text(name):
                    yield _pointer(path), f"has a name that {wrong}"
                else:
                    waiting.append((each[name], (*path, name)))
        elif isinstance(each, list):
            waiting += [(item, (*path, position)) for position, item in enumerate(each)]
        elif wrong := _wrong_value(each):
            yield _pointer(path), wrong


def _wrong_value(value: object) -> str:
    if isinstance(value, str):
        return _wrong_text(value)
    if value is None or isinstance(value, bool):
        return ""
    if not isinstance(value, int | float):
        return "is not JSON"
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a finite number"
    if abs(value) > _LARGEST_NUMBER:
        return f"is beyond {_LARGEST_NUMBER}; use a text for longer numbers"
    if 0 < abs(value) < _SMALLEST_NUMBER:
        return f"is closer to 0 than {_SMALLEST_NUMBER}; use 0 or a larger number"
    return ""


def _wrong_text(text: str) -> str:
    if "\0" in text:
        return "has a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "is not Unicode: it has half of a surrogate pair"
    return ""


class _SchemaCheck:
    """Walks through one schema. Each method raises InvalidSchemaError."""

    def __init__(self) -> None:
        self._schemas = 0

    def check(self, schema: object, pointer: str, level: int) -> None:
        if not isinstance(schema, dict):
            raise _invalid(pointer, "is not a schema; a schema is a JSON object")
        self._count(pointer, level)
        self._check_keywords(schema, pointer)
        if schema.get("writeOnly") is True:
            self._check_secret(schema, pointer, level)
        properties = schema.get("properties", {})
        if len(properties) > _MAX_PROPERTIES:
            raise _invalid(pointer, f"has {len(properties)} properties; the limit is {_MAX_PROPERTIES}")
        for name in schema.get("required", ()):
            if name not in properties:
                raise _invalid(pointer, f"requires {_shown(name)}, which is not one of its properties")
        for name, each in properties.items():
            self.check(each, f"{pointer}/properties/{_escaped(name)}", level + 1)
        if "items" in schema:
            self.check(schema["items"], f"{pointer}/items", level + 1)

    def _count(self, pointer: str, level: int) -> None:
        self._schemas += 1
        if level > _MAX_SCHEMA_LEVELS:
            raise _invalid(pointer, f"is a schema at level {level}; the limit is {_MAX_SCHEMA_LEVELS} levels")
        if self._schemas > _MAX_SCHEMAS:
            raise _invalid(pointer, f"is schema number {self._schemas}; the limit is {_MAX_SCHEMAS} schemas")

    def _check_keywords(self, schema: Mapping[str, Any], pointer: str) -> None:
        for keyword, value in schema.items():
            if keyword not in _KEYWORDS:
                raise _invalid(
                    pointer, f"has the keyword {_shown(keyword)}; the allowed keywords are {', '.join(_KEYWORDS)}"
                )
            wants, is_good = _KEYWORDS[keyword]
            if not is_good(value):
                raise _invalid(f"{pointer}/{_escaped(keyword)}", f"must be {wants}")

    def _check_secret(self, schema: Mapping[str, Any], pointer: str, level: int) -> None:
        if not (level == 2 and pointer.startswith("/properties/")):
            raise _invalid(pointer, "is a secret (writeOnly); only settings at the top level can be secrets")
        if schema.get("type") != "string":
            raise _invalid(pointer, 'is a secret (writeOnly); its type must be "string"')


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool)


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value)) and len(set(value)) == len(value)


_COUNT: Final = ("a whole number from 0 on", _is_count)
_NUMBER: Final = ("a number", _is_number)
_TEXT: Final = ("a text", _is_text)
_BOOLEAN: Final = ("true or false", _is_boolean)

_KEYWORDS: Final[Mapping[str, tuple[str, Callable[[Any], bool]]]] = {
    "$schema": (_DIALECT, lambda value: isinstance(value, str) and value.removesuffix("#") == _DIALECT),
    "type": (f"one of {', '.join(_TYPES)}", lambda value: isinstance(value, str) and value in _TYPES),
    "title": _TEXT,
    "description": _TEXT,
    "default": ("", lambda _: True),
    "examples": ("a list", lambda value: isinstance(value, list)),
    "enum": ("a list with at least one value", lambda value: isinstance(value, list) and bool(value)),
    "const": ("", lambda _: True),
    "properties": ("an object of schemas", lambda value: isinstance(value, dict)),
    "required": ("a list of names, each of them once", _are_names),
    "additionalProperties": _BOOLEAN,
    "items": ("one schema, which is an object", lambda value: isinstance(value, dict)),
    "minItems": _COUNT,
    "maxItems": _COUNT,
    "uniqueItems": _BOOLEAN,
    "minimum": _NUMBER,
    "maximum": _NUMBER,
    "exclusiveMinimum": _NUMBER,
    "exclusiveMaximum": _NUMBER,
    "multipleOf": ("a number above 0", lambda value: _is_number(value) and value > 0),
    "minLength": _COUNT,
    "maxLength": _COUNT,
    "format": (f"one of {', '.join(_FORMATS)}", lambda value: isinstance(value, str) and value in _FORMATS),
    "writeOnly": _BOOLEAN,
    "readOnly": _BOOLEAN,
}
"""For each keyword, the description of its value and the check of it."""


def _prepared(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A copy that keeps allowed values in a dictionary: there may be thousands of them, for thousands of items."""
    prepared = dict(schema)
    if "enum" in schema:
        prepared["enum"] = {_canonical(value): value for value in schema["enum"]}
    if "const" in schema:
        prepared["const"] = {_canonical(schema["const"]): schema["const"]}
    if "properties" in schema:
        prepared["properties"] = {name: _prepared(each) for name, each in schema["properties"].items()}
    if "items" in schema:
        prepared["items"] = _prepared(schema["items"])
    return prepared


def _canonical(value: object) -> str:
    """A text that is equal for two values if and only if JSON Schema calls them equal: 1 and 1.0, not 1 and true."""
    return json.dumps(with_whole_numbers(value), sort_keys=True)


@cache
def _validator() -> Any:
    """The validator of jsonschema with other checks for some keywords.

    jsonschema checks these in quadratic time or with binary fractions, or its errors do not name the place. It is
    imported when the first settings are checked.
    """
    from jsonschema import Draft202012Validator  # noqa: PLC0415
    from jsonschema.validators import extend  # noqa: PLC0415

    return extend(
        Draft202012Validator,
        {
            "enum": _one_of,
            "const": _one_of,
            "multipleOf": _multiple_of,
            "uniqueItems": _unique_items,
            "required": _required,
            "additionalProperties": _additional_properties,
        },
    )


def _one_of(_validator: Any, allowed: Mapping[str, Any], value: Any, _schema: Any) -> "Iterator[ValidationError]":
    if _canonical(value) not in allowed:
        yield _error_at()


def _multiple_of(_validator: Any, step: Any, value: Any, _schema: Any) -> "Iterator[ValidationError]":
    if _is_number(value) and Fraction(repr(value)) % Fraction(repr(step)):
        yield _error_at()


def _unique_items(_validator: Any, wanted: bool, value: Any, _schema: Any) -> "Iterator[ValidationError]":
    if wanted and isinstance(value, list) and len({_canonical(item) for item in value}) < len(value):
        yield _error_at()


def _required(_validator: Any, names: Sequence[str], value: Any, _schema: Any) -> "Iterator[ValidationError]":
    if isinstance(value, dict):
        yield from (_error_at(name) for name in names if name not in value)


def _additional_properties(
    _validator: Any, allowed: bool, value: Any, schema: Mapping[str, Any]
) -> "Iterator[ValidationError]":
    if not allowed and isinstance(value, dict):
        known = schema.get("properties", {})
        yield from (_error_at(name) for name in value if name not in known)


def _error_at(*path: str) -> "ValidationError":
    from jsonschema import ValidationError  # noqa: PLC0415

    return ValidationError("", path=path)


def _message(error: "ValidationError") -> str:
    """The message of an error. That of jsonschema is not used, since it quotes the value."""
    keyword, wanted = str(error.validator), error.validator_value
    if keyword == "type":
        return f"must be {_TYPES[wanted]}"
    if keyword in ("enum", "const"):
        return f"must be {_either(wanted.values())}"
    return _MESSAGES[keyword].format(wanted)


def _either(values: Collection[Any]) -> str:
    shown = ", ".join(json.dumps(value, ensure_ascii=False) for value in islice(values, _MAX_ERRORS))
    return f"{'one of ' if len(values) > 1 else ''}{_cut(shown)}"


_MESSAGES: Final = {
    "required": "is required",
    "additionalProperties": "is not a setting of this version; remove it",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "uniqueItems": "must not have the same item twice",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be more than {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
}


def _invalid(pointer: str, message: str) -> InvalidSchemaError:
    return InvalidSchemaError(f"{_shown(pointer)} {message}" if pointer else f"it {message}")


def _pointer(path: Collection[str | int]) -> str:
    return "".join(f"/{_escaped(str(part))}" for part in path)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _shown(text: str) -> str:
    """A text of the plugin's author, made printable and cut to 100 characters."""
    return repr(_cut(text))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
