"""The steps from an older form of a store's tables to this version's."""

from __future__ import annotations

from collections.abc import Sequence

from shortlist.errors import StoreError


def pending(version: int, migrations: Sequence[str], *, where: str) -> Sequence[str]:
    """The scripts that a store still needs.

    Args:
        version: of the store: how many of the scripts it has seen.
        migrations: all scripts, in order.
        where: the store, for the message.

    Raises:
        StoreError: a newer shortlist wrote the store.
    """
    if not 0 <= version <= len(migrations):
        raise StoreError(
            f"the store has version {version}, this shortlist knows up to {len(migrations)}",
            where=where,
            remedy="upgrade shortlist, or use another store",
        )
    return migrations[version:]
