"""Whether a unit is one that pint can read, with a hint for other spellings. The one home of pint."""

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from scythe_gen.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_UNIT: Final = 60

# pint computes the numbers in a unit, and 9**9**9 takes for ever: exponents have one digit or two,
# and no other number has more than six.
_TOO_BIG: Final = re.compile(
    r"(?:\*\*|\^)[\s(+-]*\d{3}|\d{7}|(?:\*\*|\^)[^*/\s^]*(?:\*\*|\^)|\d[eE]"
)
_CHARACTERS: Final = re.compile(r"[\w\s*/^().%°·µμΩ²³⁻¹+\-]*")
# pint takes deg.C for degrees times coulombs.
_LOOSE_DOT: Final = re.compile(r"(?<!\d)\.|\.(?!\d)")
_OTHER_SPELLINGS: Final = {
    "Cel": "degC",
    "[degF]": "degF",
    "deg.C": "degC",
    "deg.F": "degF",
    "deg C": "degC",
    "C°": "degC",
    "ach": "1/h",
    "ACH": "1/h",
    "mm[Hg]": "mmHg",
    "[ppm]": "ppm",
    "10*-6": "ppm",
    "[in_i]": "inch",
    "[ft_i]": "foot",
    "-": "1",
    "": "1",
    "none": "1",
    "None": "1",
    "unitless": "1",
}


def unit_reason(value: object, *, numeric: bool) -> str | None:
    """Return what is wrong with the value of `x-unit`, or None.

    Args:
        value: As written.
        numeric: Whether what it stands at is a number, or made of numbers.
    """
    if not numeric:
        return "only numbers have a unit; leave x-unit out"
    if isinstance(value, str):
        return unit_problem(value)
    return "x-unit is empty" if value is None else f"a unit is text; write x-unit: {str(value)!r}"


@lru_cache(maxsize=1024)
def unit_problem(unit: str) -> str | None:
    """Return what is wrong with a unit, or None when pint can read it."""
    if len(unit) > MAX_UNIT:
        return f"a unit of more than {MAX_UNIT} characters"
    if unit.strip() and _readable(unit):
        return None
    for candidate in _candidates(unit):
        if candidate != unit and _readable(candidate):
            return f"{shown(unit)} is no unit that pint can read; did you mean {shown(candidate)}?"
    return f"{shown(unit)} is no unit that pint can read; write for instance 'W/(m^2 K)', 'degC' or '1'"


def _readable(unit: str) -> bool:
    if _TOO_BIG.search(unit) or _LOOSE_DOT.search(unit) or not _CHARACTERS.fullmatch(unit):
        return False
    try:
        _registry().parse_units(unit)
    except Exception:  # noqa: BLE001 - pint raises its own, tokenize's, SyntaxError and arithmetic errors
        return False
    return True


def _candidates(unit: str) -> "Iterator[str]":
    spelled = unit
    for other, own in _OTHER_SPELLINGS.items():
        if unit == other:
            yield own
        elif len(other) > 1:
            spelled = spelled.replace(other, own)
    # m2 and m-1 mean powers; m2K is m^2 K; a dot multiplies
    powers = re.sub(r"(?<=[A-Za-z])(-?\d)(?=[A-Za-z])", r"^\1*", spelled)
    powers = re.sub(r"(?<=[A-Za-z])(-?\d)", r"^\1", powers)
    product = re.sub(r"(?<=[A-Za-z\d)])\.(?=[A-Za-z(])", "*", powers)
    yield from (spelled, powers, product)
    yield unit.lower()
    if re.fullmatch(r"[A-Za-z_]+", unit):
        from difflib import get_close_matches

        yield from get_close_matches(
            unit, [name for name in dir(_registry()) if name[0] != "_"], n=3
        )


@lru_cache(maxsize=1)
def _registry() -> Any:
    from pint import UnitRegistry

    return UnitRegistry()
