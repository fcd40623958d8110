"""What a file field accepts, and which files a spec names."""

import json
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, Field, HttpUrl, TypeAdapter, ValidationError

from scythe_runtime.files import (
    FileReference,
    FileReferenceMixin,
    FileUrl,
    OptionalFileReference,
    S3Url,
    file_fields,
    holds_files,
    is_single_file,
    replace_files,
    shown,
    walk_files,
)

REFERENCE = TypeAdapter(FileReference)


class Layer(BaseModel):
    """Part of a site."""

    table: FileReference
    homepage: HttpUrl | None = None


class Site(FileReferenceMixin):
    """A model with files everywhere."""

    weather: FileReference
    terrain: OptionalFileReference = None
    years: list[FileReference] = Field(default_factory=list)
    by_name: dict[str, FileReference] = Field(default_factory=dict)
    layer: Layer | None = None
    pair: tuple[FileReference, int] | None = None
    described: Annotated[FileReference, Field(description="x")] | None = None
    plain_path: Path | None = None
    homepage: HttpUrl | None = None
    area: float = 1.0
    parent: "Site | None" = None


@pytest.mark.parametrize(
    ("text", "kind", "kept"),
    [
        ("weather.epw", Path, "weather.epw"),
        ("artifacts/a b.epw", Path, "artifacts/a b.epw"),
        ("/abs/100%.csv", Path, "/abs/100%.csv"),
        ("odd:name.csv", Path, "odd:name.csv"),
        ("file:///a b.csv", FileUrl, "file:///a%20b.csv"),
        ("file:///a%20b.csv", FileUrl, "file:///a%20b.csv"),
        ("s3://bucket/k/it's.csv", S3Url, "s3://bucket/k/it's.csv"),
        ("https://example.org/a.csv?token=1", HttpUrl, "https://example.org/a.csv?token=1"),
        ("HTTP://Example.org/a", HttpUrl, "http://example.org/a"),
    ],
)
def test_strings_become_what_they_are(text, kind, kept):
    """A string with a scheme is a URL of that kind, every other one a path; JSON brings it back."""
    value = REFERENCE.validate_python(text)
    assert isinstance(value, kind)
    assert str(value) == kept
    assert REFERENCE.validate_json(REFERENCE.dump_json(value)) == value
    assert REFERENCE.validate_python(value) == value


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("ftp://example.org/a", "ftp:// cannot be fetched; use https://, s3:// or file://"),
        ("http://", "not a valid URL"),
        ("s3://", "not a valid URL"),
        ("s3://bucket/", "no object"),
        ("file://server/share/a.csv", "three slashes"),
        ("", "is empty"),
        (Path("s3://bucket/a.csv"), "went through Path()"),
        (3, "neither a path nor a URL"),
        (None, "neither a path nor a URL"),
        (["a"], "neither a path nor a URL"),
    ],
)
def test_what_is_no_file(wrong, says):
    """One message for one wrong value, which says what to write instead."""
    with pytest.raises(ValidationError) as got:
        REFERENCE.validate_python(wrong)
    (error,) = got.value.errors()
    assert says in error["msg"]
    assert error["type"] == "file_reference"


def test_urls_lead_to_the_right_key_and_path():
    """Percent signs, spaces, quotes and unicode are decoded once; "?" and "#" belong to an S3 key."""
    assert S3Url("s3://b/a b/ü%25 '?x#y").key == "a b/ü% '?x#y"
    assert S3Url("s3://my-bucket/k").bucket == "my-bucket"
    path = Path("/data/100% #1/it's ü?.csv")
    assert REFERENCE.validate_python(path.as_uri()).to_path() == path


def test_the_schema_is_the_recognised_one():
    """The JSON schema stays the anyOf of URIs and a path that definitions are recognised by."""
    schema = Site.model_json_schema()["$defs"]["Site"]["properties"]
    assert [branch["format"] for branch in schema["weather"]["anyOf"]] == ["uri", "uri", "path"]
    assert all(branch["type"] == "string" for branch in schema["weather"]["anyOf"])
    assert schema["terrain"]["anyOf"][-1] == {"type": "null"}
    json.dumps(schema)


def test_file_fields_are_found_by_walking_types():
    """Optional, annotated, list, dict, tuple and nested fields count; a plain link does not."""
    assert file_fields(Site) == (
        "weather",
        "terrain",
        "years",
        "by_name",
        "layer",
        "pair",
        "described",
        "plain_path",
        "parent",
    )
    assert not holds_files(HttpUrl)
    assert not holds_files(dict[str, float])
    single = {
        name for name in file_fields(Site) if is_single_file(Site.model_fields[name].annotation)
    }
    assert single == {"weather", "terrain", "described", "plain_path"}


def test_files_of_a_spec_by_where_they_stand():
    """Local and remote files are told apart, each under its place."""
    site = Site(
        weather="w.epw",
        years=["a.csv", "s3://b/b.csv"],
        by_name={"x": "file:///x"},
        layer={"table": "https://example.org/t", "homepage": "https://example.org"},
        pair=("p.csv", 1),
        homepage="https://example.org",
        parent={"weather": "up.epw"},
    )
    assert site.local_artifact_file_paths == {
        "weather": Path("w.epw"),
        "years.0": Path("a.csv"),
        "pair.0": Path("p.csv"),
        "parent.weather": Path("up.epw"),
    }
    remote = {at: str(url) for at, url in site.remote_artifact_file_paths.items()}
    assert remote == {
        "years.1": "s3://b/b.csv",
        "by_name.x": "file:///x",
        "layer.table": "https://example.org/t",
    }


def test_replacing_keeps_everything_else():
    """Each file is replaced where it stands; the original and all other values stay as they are."""
    site = Site(weather="w.epw", years=["a.csv"], pair=("p.csv", 1), layer={"table": "t"}, area=2.0)
    before = site.model_dump()
    new = replace_files(site, lambda at, file: Path("/new") / at / str(file))
    assert {at: str(file) for at, file in walk_files(new)} == {
        "weather": "/new/weather/w.epw",
        "years.0": "/new/years.0/a.csv",
        "pair.0": "/new/pair.0/p.csv",
        "layer.table": "/new/layer.table/t",
    }
    assert (new.area, new.pair) == (2.0, (Path("/new/pair.0/p.csv"), 1))
    assert site.model_dump() == before


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        (
            "https://user:pw@example.org:8080/a.csv?X-Amz-Signature=abc#frag",
            "https://example.org:8080/a.csv?…",
        ),
        ("https://example.org/a.csv", "https://example.org/a.csv"),
        ("s3://bucket/a?b.csv", "s3://bucket/a?b.csv"),
    ],
)
def test_messages_show_no_secret(uri, text):
    """What messages show of a URI has neither password nor query."""
    assert shown(uri) == text
