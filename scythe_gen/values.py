"""Whether values written in a definition (defaults, examples of an enum) fit their own schema."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any, Final

from scythe_gen.errors import shown

MAX_PATTERN: Final = 1000


def pattern_problem(pattern: str) -> str | None:
    """Return why pydantic's regular expressions refuse a pattern, or None.

    They are Rust's: linear in time, so without look-around and back-references.
    """
    if len(pattern) > MAX_PATTERN:
        return f"longer than {MAX_PATTERN} characters"
    try:
        _pattern(pattern)
    except Exception as error:  # noqa: BLE001 - pydantic_core.SchemaError, without importing it here
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = next((line for line in lines if line.startswith("error:")), lines[-1])
        return reason.removeprefix("error:").removeprefix("SchemaError:").strip()
    return None


def misfit(
    value: object, schema: Mapping[str, Any], definitions: Mapping[str, Mapping[str, Any]]
) -> tuple[tuple[str | int, ...], str] | None:
    """Return where and why a value does not fit a schema in the full form, or None when it does.

    Args:
        value: Plain values.
        schema: The field's schema; it may refer to definitions.
        definitions: The `$defs`.
    """
    validator = _validator()({**schema, "$defs": definitions})
    for error in validator.iter_errors(value):
        return tuple(error.absolute_path), _reason(error)
    return None


def _reason(error: Any) -> str:  # noqa: PLR0911 - one a keyword
    limit = shown(error.validator_value)
    value = shown(error.instance)
    match error.validator:
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            return f"{value} is outside {error.validator} {limit}"
        case "type":
            return f"{value} is not of type {error.validator_value}"
        case "enum":
            return f"{value} is none of {limit}"
        case "const":
            return f"{value} is not {limit}"
        case "format":
            return f"{value} is no {error.validator_value}"
        case "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            return f"{shown(missing[0])} is missing in {value}"
        case _:
            return f"{value} does not fit {error.validator}: {limit}"


@lru_cache(maxsize=1)
def _validator() -> Any:
    from jsonschema import Draft202012Validator, FormatChecker, ValidationError
    from jsonschema.validators import extend
    from pydantic_core import SchemaValidator, core_schema

    def check_pattern(
        _validator: Any, pattern: str, instance: object, _schema: object
    ) -> Iterator[ValidationError]:
        # Python's own regular expressions can take for ever on a hostile pattern.
        if isinstance(instance, str) and not _matches(pattern, instance):
            yield ValidationError(f"does not match {pattern}")

    checker = FormatChecker(formats=())
    for name, schema, constructor in (
        ("date", core_schema.date_schema(), date.fromisoformat),
        ("date-time", core_schema.datetime_schema(), datetime.fromisoformat),
        ("time", core_schema.time_schema(), time.fromisoformat),
    ):
        validate = SchemaValidator(schema).validate_python
        # Both: the generated code constructs a default, and what a run records is validated again.
        checker.checks(name, raises=ValueError)(
            lambda text, validate=validate, constructor=constructor: (
                not isinstance(text, str) or (constructor(text), validate(text)) is not None
            )
        )
    checker.checks("file-reference", raises=ValueError)(_is_file)
    checked = extend(  # type: ignore[no-untyped-call]
        Draft202012Validator, validators={"pattern": check_pattern}
    )
    return lambda schema: checked(schema, format_checker=checker)


def _is_file(text: object) -> bool:
    if isinstance(text, str) and (not text or "://" in text):
        from scythe_runtime.files import parse_file

        parse_file(text)
    return True


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> Any:
    from pydantic_core import SchemaValidator, core_schema

    return SchemaValidator(core_schema.str_schema(pattern=pattern))


def _matches(pattern: str, text: str) -> bool:
    try:
        _pattern(pattern).validate_python(text)
    except ValueError:
        return False
    return True
