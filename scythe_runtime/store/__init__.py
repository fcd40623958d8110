"""Where run directories live: one protocol, a local folder and S3."""

from scythe_runtime.store._once import without_rereading
from scythe_runtime.store._open import check, open_store, store_from_settings
from scythe_runtime.store._protocol import Store, StoredObject

__all__ = [
    "Store",
    "StoredObject",
    "check",
    "open_store",
    "store_from_settings",
    "without_rereading",
]
