"""Frames as scythe-engine's helpers serialize and join them; kept for code written against it."""

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from scythe_runtime.files import S3Url


def serialize_df_dict(dfs: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, Any]]:
    """Return frames as plain dicts, by name, in pandas' "tight" form."""
    return {name: frame.to_dict(orient="tight") for name, frame in dfs.items()}


def transpose_dataframe_dict(
    dataframe_results: Iterable[Mapping[str, pd.DataFrame]],
) -> dict[str, pd.DataFrame]:
    """Return dicts of frames as one dict: the frames of each name one below the other."""
    by_name: dict[str, list[pd.DataFrame]] = {}
    for frames in dataframe_results:
        for name, frame in frames.items():
            by_name.setdefault(name, []).append(frame)
    return {name: pd.concat(frames, axis=0) for name, frames in by_name.items()}


def make_onerow_multiindex_from_dict(d: Mapping[str, Any], n_rows: int = 1) -> pd.MultiIndex:
    """Return a MultiIndex of n_rows equal rows, one level a key."""
    return pd.MultiIndex.from_tuples([tuple(d.values())] * n_rows, names=list(d))


def save_and_upload_parquets(
    collected_dfs: Mapping[str, pd.DataFrame],
    s3: Any,
    bucket: str,
    output_key_constructor: Callable[[str], str],
    save_errors: bool = False,  # noqa: FBT001, FBT002 - a promised name
) -> dict[str, S3Url]:
    """Put frames as parquet files into a bucket and return their URIs by name.

    Args:
        collected_dfs: Frames by name.
        s3: A client of boto3.
        bucket: The bucket.
        output_key_constructor: From a name to its key.
        save_errors: Also put the frame called "errors".
    """
    uris = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, frame in collected_dfs.items():
            if name == "errors" and not save_errors:
                continue
            path = Path(folder) / "frame.pq"
            frame.to_parquet(path)
            key = output_key_constructor(name)
            s3.upload_file(Bucket=bucket, Key=key, Filename=path.as_posix())
            uris[name] = S3Url(f"s3://{bucket}/{key}")
    return uris
