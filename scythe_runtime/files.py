"""File references: what a field that holds a file may be, and which files a spec names."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, TypeAlias, TypeVar, Union, cast, get_args, get_origin
from urllib.parse import unquote, urlsplit

from pydantic import AnyUrl, BaseModel, HttpUrl, UrlConstraints, ValidationError, WrapValidator
from pydantic import FileUrl as _AnyFileUrl
from pydantic_core import PydanticCustomError

from scythe_runtime.settings import EnvironmentSettings

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_URL_IN_PATH = re.compile(r"(s3|https?|file):/")


class S3Url(AnyUrl):
    """A URL of an S3 object: `s3://bucket/key`."""

    _constraints = UrlConstraints(allowed_schemes=["s3"], host_required=True)

    @property
    def bucket(self) -> str:
        """The bucket."""
        return self.host or ""

    @property
    def key(self) -> str:
        """The key, percent-decoded; "?" and "#" are characters like any other."""
        return unquote(str(self).split("://", 1)[1].partition("/")[2])


class FileUrl(_AnyFileUrl):
    """A URL of a file that every process of the run can open: `file:///folder/name`."""

    def to_path(self) -> Path:
        """Return the file's path."""
        return Path(unquote(self.path or "/"))


FileUri: TypeAlias = S3Url | HttpUrl | FileUrl
FileValue: TypeAlias = FileUri | Path

_URL_TYPES: Final[Mapping[str, type[AnyUrl]]] = {
    "s3": S3Url,
    "http": HttpUrl,
    "https": HttpUrl,
    "file": FileUrl,
}


def is_uri(text: str) -> bool:
    """Return whether a string is a URL and not a path: it begins with a scheme and "://"."""
    return _SCHEME.match(text) is not None


def parse_file(text: str) -> FileValue:
    """Return a string as the path or URL that it is.

    Raises:
        ValueError: The URL is wrong, or of a kind that cannot be fetched.
    """
    scheme = _SCHEME.match(text)
    if scheme is None:
        if not text:
            raise ValueError("is empty; write a path or a URL")
        return _checked_path(Path(text))
    url_type = _URL_TYPES.get(scheme[1].lower())
    if url_type is None:
        raise ValueError(
            f"{scheme[1]}:// cannot be fetched; use https://, s3:// or file://, or a path"
        )
    try:
        url = url_type(text)
    except ValidationError as error:
        raise ValueError(f"is not a valid URL: {error.errors()[0]['msg']}") from None
    if isinstance(url, FileUrl) and url.host:
        raise ValueError("names another machine; write file:///folder/name, with three slashes")
    if isinstance(url, S3Url) and not url.key:
        raise ValueError("names a bucket but no object; write s3://bucket/key")
    return cast("FileValue", url)


def _checked_path(path: Path) -> Path:
    if _URL_IN_PATH.match(str(path)):
        raise ValueError("is a URL that went through Path(), which damages it; give it as a string")
    return path


def _validate(value: Any, handler: Callable[[Any], Any]) -> Any:
    """Return a file reference, with one message where the union would write one a member."""
    try:
        if isinstance(value, str):
            return parse_file(value)
        if isinstance(value, Path):
            return _checked_path(value)
        if isinstance(value, AnyUrl | HttpUrl | _AnyFileUrl):
            return parse_file(str(value))
    except ValueError as error:
        raise PydanticCustomError("file_reference", "{problem}", {"problem": str(error)}) from None
    try:
        return handler(value)
    except ValidationError:
        raise PydanticCustomError("file_reference", "is neither a path nor a URL") from None


FileReference: TypeAlias = Annotated[S3Url | HttpUrl | FileUrl | Path, WrapValidator(_validate)]
"""A path, or a URL of a file: s3://, http(s):// or file://. A string without "://" is a path."""

OptionalFileReference: TypeAlias = FileReference | None
"""A file reference or None."""

_FILE_TYPES: Final = (Path, S3Url, _AnyFileUrl)
_T = TypeVar("_T")


def holds_files(annotation: Any) -> bool:
    """Return whether a type may hold a file: a reference, a Path, or a container or model of them.

    A plain HttpUrl is a link, not a file.
    """
    return _holds_files(annotation, frozenset())


def _holds_files(annotation: Any, seen: frozenset[type]) -> bool:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        if issubclass(annotation, EnvironmentSettings):
            return (
                False  # a spec carries its storage settings; their folder is no file of the spec's
            )
        if issubclass(annotation, BaseModel):
            return annotation not in seen and any(
                _holds_files(field.annotation, seen | {annotation})
                for field in annotation.model_fields.values()
            )
        return issubclass(annotation, _FILE_TYPES)
    alias = getattr(annotation, "__value__", None)  # of a `type X = ...` statement
    members = (alias,) if alias is not None else get_args(annotation)
    if get_origin(annotation) is Annotated:
        members = members[:1]
    return any(_holds_files(member, seen) for member in members)


@cache
def file_fields(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the names of a model's own fields whose type may hold a file, in the model's order."""
    return tuple(
        name for name, field in model.model_fields.items() if holds_files(field.annotation)
    )


def is_single_file(annotation: Any) -> bool:
    """Return whether a type is one file or None, as opposed to a container or model of files."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    members = (
        get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)
    )
    return all(
        member is type(None)
        or (isinstance(member, type) and issubclass(member, (*_FILE_TYPES, HttpUrl)))
        or (get_origin(member) is Annotated and is_single_file(member))
        for member in members
    )


def walk_files(value: Any, at: str = "") -> Iterator[tuple[str, FileValue]]:
    """Yield each file in a value with where it stands, such as "weather", "layers.0" or "site.weather".

    Args:
        value: A file, or a model, mapping or sequence that holds files.
        at: The name of `value` itself.
    """
    if isinstance(value, Path | S3Url | HttpUrl | FileUrl):
        yield at, value
        return
    items: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(value, BaseModel):
        items = ((name, getattr(value, name)) for name in file_fields(type(value)))
    elif isinstance(value, Mapping):
        items = iter(value.items())
    elif isinstance(value, list | tuple):
        items = iter(enumerate(value))
    for name, item in items:
        yield from walk_files(item, f"{at}.{name}" if at else str(name))


def replace_files(value: _T, replace: Callable[[str, FileValue], Any], at: str = "") -> _T:
    """Return a copy of a value with each file replaced; what holds no file is kept as it is.

    Args:
        value: As in `walk_files`.
        replace: Is given where a file stands and the file; returns what takes its place.
        at: The name of `value` itself.
    """
    result: Any = value

    def inner(name: object, item: Any) -> Any:
        return replace_files(item, replace, f"{at}.{name}" if at else str(name))

    if isinstance(value, Path | S3Url | HttpUrl | FileUrl):
        result = replace(at, value)
    elif isinstance(value, BaseModel):
        names = file_fields(type(value))
        result = value.model_copy(
            update={name: inner(name, getattr(value, name)) for name in names}
        )
    elif isinstance(value, Mapping):
        result = {name: inner(name, item) for name, item in value.items()}
    elif isinstance(value, list | tuple):
        result = type(value)(inner(i, item) for i, item in enumerate(value))
    return cast("_T", result)


class FileReferenceMixin(BaseModel):
    """A model that knows which files it names."""

    @property
    def remote_artifact_file_paths(self) -> dict[str, FileUri]:
        """The files that are URLs, by field ("weather"; inside containers "layers.0", "site.weather")."""
        return {at: file for at, file in walk_files(self) if not isinstance(file, Path)}

    @property
    def local_artifact_file_paths(self) -> dict[str, Path]:
        """The files that are paths, by field as in `remote_artifact_file_paths`."""
        return {at: file for at, file in walk_files(self) if isinstance(file, Path)}


def shown(uri: str) -> str:
    """Return a URI as messages may show it: without password, query and fragment, which hold secrets."""
    parts = urlsplit(uri)
    if parts.scheme == "s3":  # has no query: "?" is part of the key
        return uri
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" + ("?…" if parts.query else "")
