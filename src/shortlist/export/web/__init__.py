"""The reference app: an export for devices with a page beside it, ready to serve as plain files."""

from shortlist.export.web.app import write_app

__all__ = ["write_app"]
