"""From what boto3 raises to one line that says what to do. Never a secret, never a query string."""

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from scythe_runtime.errors import NotFoundError, StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

_MISSING: Final = frozenset({"NoSuchKey", "404", "NotFound"})
_DENIED: Final = frozenset({"AccessDenied", "403", "AllAccessDisabled", "AccountProblem"})
_CREDENTIALS: Final = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "401"}
)
_REGION: Final = frozenset(
    {
        "PermanentRedirect",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "301",
    }
)
_BUSY: Final = frozenset(
    {"SlowDown", "Throttling", "ThrottlingException", "RequestTimeout", "RequestLimitExceeded"}
)
_FIRST_SERVER_ERROR: Final = 500
_TOO_MANY_REQUESTS: Final = 429


def error_code(error: "ClientError") -> str:
    """Return the server's name for an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def from_server(error: "ClientError", what: str, *, bucket: str, endpoint: str) -> StoreError:
    """Return the error to raise for a refusal of the server.

    Args:
        error: What boto3 raised.
        what: What was tried, for instance "write s3://bucket/key".
        bucket: The bucket.
        endpoint: The server's URL.
    """
    metadata: Any = error.response.get("ResponseMetadata", {})
    status = int(metadata.get("HTTPStatusCode", 0))
    code = error_code(error) or str(status)
    server = without_user(endpoint)
    if code in _MISSING:
        if what.startswith("read "):
            return NotFoundError(f"cannot {what}: it does not exist.")
        return no_s3(f"answers {code}", what, endpoint=endpoint)
    if code in _BUSY or status >= _FIRST_SERVER_ERROR or status == _TOO_MANY_REQUESTS:
        times = metadata.get("RetryAttempts", 0) + 1
        return StoreUnavailableError(
            f"cannot {what}: {server} answers {status} {code}, {times} times in a row. What is stored stays; "
            "try again later."
        )
    if code == "NoSuchBucket":
        reason = (
            f"there is no bucket {bucket!r} at {server}. Create it, or correct SCYTHE_STORAGE_BUCKET or "
            "AWS_ENDPOINT_URL."
        )
    elif code in _DENIED:
        reason = (
            f"no permission ({code}). These credentials need s3:ListBucket on the bucket {bucket!r}, and "
            "s3:GetObject and s3:PutObject on its objects."
        )
    elif code in _CREDENTIALS:
        reason = (
            f"{server} refuses the credentials ({code}). Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
            "AWS_SESSION_TOKEN, or AWS_PROFILE."
        )
    elif code in _REGION:
        reason = f"the bucket {bucket!r} is in another region ({code}). Set AWS_DEFAULT_REGION to the bucket's."
    else:
        message = error.response.get("Error", {}).get("Message", "")
        reason = f"the server says {code}: {_one_line(message)}"
    return StoreError(f"cannot {what}: {reason}")


def no_s3(does: str, what: str, *, endpoint: str) -> StoreError:
    """Return the error to raise where a server answers as S3 never does."""
    return StoreError(
        f"cannot {what}: {without_user(endpoint)} {does}; it seems to be no S3 server. Check AWS_ENDPOINT_URL."
    )


def from_client(error: "BotoCoreError | ValueError", what: str, *, endpoint: str) -> StoreError:
    """Return the error to raise for a request that got no answer, or could not be made.

    Args:
        error: What boto3 raised.
        what: What was tried, for instance "write s3://bucket/key".
        endpoint: The server's URL, or "" where there is no client yet.
    """
    from botocore import exceptions

    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return StoreError(
            f"cannot {what}: there are no credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
        )
    if isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError):
        return StoreUnavailableError(
            f"cannot {what}: no answer from {without_user(endpoint)} ({type(error).__name__}). Check AWS_ENDPOINT_URL "
            "and the network. What is stored stays; try again later."
        )
    if isinstance(error, exceptions.ParamValidationError):
        return StoreError(
            f"cannot {what}: {_one_line(error).removeprefix('Parameter validation failed: ')}"
        )
    return StoreError(
        f"cannot {what}: {_one_line(error)} Check the AWS_ variables and ~/.aws/config."
    )


def without_user(url: str) -> str:
    """Return a URL without the user and password that it may carry."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _one_line(value: object) -> str:
    return " ".join(str(value).split())
