"""Names of `settings` and `utils`."""

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from pydantic import BaseModel, ValidationError
from seed_names import calls

from scythe_runtime.settings import ScytheStorageSettings, TimeoutSettings
from scythe_runtime.utils.filesys import (
    FileReference,
    FileReferenceMixin,
    OptionalFileReference,
    S3Url,
    fetch_uri,
)
from scythe_runtime.utils.results import (
    make_onerow_multiindex_from_dict,
    save_and_upload_parquets,
    serialize_df_dict,
    transpose_dataframe_dict,
)


@calls("settings.ScytheStorageSettings", "settings.TimeoutSettings")
def test_settings_come_from_the_environment(monkeypatch):
    """Storage and timeouts are read from SCYTHE_STORAGE_ and SCYTHE_TIMEOUT_, and can be given."""
    monkeypatch.setenv("SCYTHE_STORAGE_BUCKET", "from-environment")
    monkeypatch.setenv("SCYTHE_TIMEOUT_EXPERIMENT_EXECUTION", "10m")
    monkeypatch.setenv("SCYTHE_TIMEOUT_SCATTER_GATHER_SCHEDULE", "1h30m")
    assert ScytheStorageSettings().BUCKET == "from-environment"
    assert ScytheStorageSettings(BUCKET="b", BUCKET_PREFIX="p").BUCKET_PREFIX == "p"
    assert timedelta(minutes=10) == TimeoutSettings().EXPERIMENT_EXECUTION
    assert timedelta(minutes=90) == TimeoutSettings().SCATTER_GATHER_SCHEDULE
    from scythe_runtime.settings import timeout_settings

    assert timedelta(minutes=10) == timeout_settings.EXPERIMENT_EXECUTION


class Site(FileReferenceMixin):
    """A model that names files."""

    weather: FileReference
    drawing: OptionalFileReference = None


@calls("utils.filesys.S3Url")
def test_s3_urls_have_bucket_and_key():
    """An S3 URL has the scheme s3, a bucket and a key."""
    url = S3Url("s3://bucket/some%20folder/key.csv")
    assert (url.scheme, url.host, url.key) == ("s3", "bucket", "some folder/key.csv")

    class Held(BaseModel):
        url: S3Url

    with pytest.raises(ValidationError):
        Held.model_validate({"url": "https://bucket/key"})


@calls(
    "utils.filesys.FileReferenceMixin",
    "utils.filesys.FileReferenceMixin.remote_artifact_file_paths",
    "utils.filesys.FileReference",
    "utils.filesys.OptionalFileReference",
)
def test_remote_files_are_found_by_field():
    """Only URLs are remote; a path is not, and an optional reference may be left out."""
    site = Site(weather="s3://bucket/w.epw", drawing=Path("a.svg"))
    assert site.remote_artifact_file_paths == {"weather": S3Url("s3://bucket/w.epw")}
    site = Site(weather=Path("w.epw"), drawing="https://host/a.svg")
    assert [str(u) for u in site.remote_artifact_file_paths.values()] == ["https://host/a.svg"]
    assert Site(weather=Path("w.epw")).remote_artifact_file_paths == {}
    with pytest.raises(ValidationError):
        Site(weather=None)


@calls("utils.filesys.fetch_uri")
def test_fetch_uri_fetches_with_a_client(here, bucket):
    """A file comes to the place that is named; what is there stays unless use_cache=False."""
    from scythe_runtime.utils.s3 import s3_client

    s3_client.put_object(Bucket=bucket, Key="a/b c.txt", Body=b"first")
    uri = S3Url(f"s3://{bucket}/a/b%20c.txt")
    target = here / "deep" / "file.txt"
    assert fetch_uri(uri, target, use_cache=True, s3=s3_client) == target
    s3_client.put_object(Bucket=bucket, Key="a/b c.txt", Body=b"second")
    assert fetch_uri(uri, target).read_text() == "first"
    assert fetch_uri(uri, target, use_cache=False, s3=s3_client).read_text() == "second"


@calls("utils.results.serialize_df_dict")
def test_frames_as_plain_dicts():
    """A frame's dict in tight form gives the frame back, its index included."""
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="name"))
    plain = serialize_df_dict({"one": frame})
    pd.testing.assert_frame_equal(pd.DataFrame.from_dict(plain["one"], orient="tight"), frame)


@calls("utils.results.transpose_dataframe_dict")
def test_frames_are_joined_by_name():
    """Frames of one name are joined in order; a name that only one has is kept."""
    a, b = pd.DataFrame({"k": [1]}), pd.DataFrame({"k": [2]})
    joined = transpose_dataframe_dict([{"x": a, "y": a}, {"x": b}])
    assert joined["x"]["k"].tolist() == [1, 2]
    assert joined["y"]["k"].tolist() == [1]


@calls("utils.results.make_onerow_multiindex_from_dict")
def test_an_index_of_equal_rows():
    """The index has one level a key, and n_rows equal rows."""
    index = make_onerow_multiindex_from_dict({"a": 1, "b": "x"}, n_rows=3)
    assert index.names == ["a", "b"]
    assert index.tolist() == [(1, "x")] * 3


@calls("utils.results.save_and_upload_parquets")
def test_frames_go_to_a_bucket(here, bucket):
    """Each frame becomes a parquet file under the key that is made for it; errors only if asked for."""
    from scythe_runtime.utils.s3 import s3_client

    frame = pd.DataFrame({"a": [1.5]}, index=pd.Index([3], name="row"))
    frames = {"results": frame, "errors": frame}
    uris = save_and_upload_parquets(frames, s3_client, bucket, lambda name: f"out/{name}.pq")
    assert [str(u) for u in uris.values()] == [f"s3://{bucket}/out/results.pq"]
    uris = save_and_upload_parquets(
        frames, s3_client, bucket, lambda name: f"all/{name}.pq", save_errors=True
    )
    assert sorted(uris) == ["errors", "results"]
    brought = fetch_uri(uris["errors"], here / "errors.pq")
    pd.testing.assert_frame_equal(pd.read_parquet(brought), frame)
