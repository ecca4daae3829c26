"""Where a server keeps what it must not forget: events, items, and what is known of users."""

from shortlist.serving.stores.exposure_table import exposure_table
from shortlist.serving.stores.exposures import Exposure
from shortlist.serving.stores.places import open_store
from shortlist.serving.stores.store import Event, ItemChange, Store, StoredItem, UserData

__all__ = [
    "Event",
    "Exposure",
    "ItemChange",
    "Store",
    "StoredItem",
    "UserData",
    "exposure_table",
    "open_store",
]
