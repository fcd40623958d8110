"""Semantic versions of experiments."""

import re
from functools import total_ordering
from typing import Any, Final, Literal, TypeAlias, cast

from pydantic import BaseModel, Field

from scythe_runtime.errors import UsageError

VersioningStrategy: TypeAlias = Literal["bumpmajor", "bumpminor", "bumppatch", "keep", "auto"]

STRATEGIES: Final = ("bumpmajor", "bumpminor", "bumppatch", "keep", "auto")

_VERSION = re.compile(r"v(\d+)(?:[.-](\d+))?(?:[.-](\d+))?")


@total_ordering
class SemVer(BaseModel, frozen=True):
    """A semantic version, written v1.2.3."""

    major: int = Field(ge=0)
    minor: int = Field(default=0, ge=0)
    patch: int = Field(default=0, ge=0)

    @classmethod
    def FromString(cls, version: str) -> "SemVer":  # noqa: N802 - a promised name
        """Return the version that a text like v1, v1.2 or v1.2.3 names.

        Raises:
            ValueError: It is none.
        """
        match = _VERSION.fullmatch(version)
        if match is None:
            message = f"{version!r} is not a version. Write v1.2.3."
            raise ValueError(message)
        major, minor, patch = (int(part or 0) for part in match.groups())
        return cls(major=major, minor=minor, patch=patch)

    def next_major_version(self) -> "SemVer":
        """Return the version after an incompatible change."""
        return SemVer(major=self.major + 1)

    def next_minor_version(self) -> "SemVer":
        """Return the version after an addition."""
        return SemVer(major=self.major, minor=self.minor + 1)

    def next_patch_version(self) -> "SemVer":
        """Return the version after a correction."""
        return SemVer(major=self.major, minor=self.minor, patch=self.patch + 1)

    def _key(self) -> tuple[int, int, int]:
        return self.major, self.minor, self.patch

    def __lt__(self, other: Any) -> bool:
        return self._key() < other._key() if isinstance(other, SemVer) else NotImplemented

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}.{self.patch}"


FIRST_VERSION: Final = SemVer(major=1)


def wanted_version(text: str) -> "SemVer | VersioningStrategy":
    """Return what a text asks for: a strategy, or a version.

    Raises:
        UsageError: It is neither.
    """
    if text in STRATEGIES:
        return cast("VersioningStrategy", text)
    try:
        return SemVer.FromString(text)
    except ValueError as error:
        raise UsageError(f"version: {error} Or one of {', '.join(STRATEGIES)}.") from None


def next_version(strategy: VersioningStrategy, latest: SemVer | None) -> SemVer:
    """Return the version that a strategy leads to after the latest one.

    Raises:
        UsageError: It is "auto", which takes more than the latest version to decide, or none that is known.
    """
    if strategy not in STRATEGIES or strategy == "auto":
        known = ", ".join(s for s in STRATEGIES if s != "auto")
        message = f"version {strategy!r} cannot be counted on from {latest}; use a SemVer or one of {known}"
        raise UsageError(message)
    if latest is None:
        return FIRST_VERSION
    match strategy:
        case "bumpmajor":
            return latest.next_major_version()
        case "bumpminor":
            return latest.next_minor_version()
        case "bumppatch":
            return latest.next_patch_version()
        case _:
            return latest
