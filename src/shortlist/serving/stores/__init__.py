"""Where a server keeps what it must not forget: events, items, and what is known of users."""

from shortlist.serving.stores.places import open_store
from shortlist.serving.stores.store import Event, ItemChange, Store, StoredItem, UserData

__all__ = ["Event", "ItemChange", "Store", "StoredItem", "UserData", "open_store"]
