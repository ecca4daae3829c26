"""A bundle behind HTTP, and events that are never lost; needs `pip install 'shortlist[serve]'`."""

from shortlist.serving import stores
from shortlist.serving.app import create_app
from shortlist.serving.keys import KeyFile
from shortlist.serving.server import serve
from shortlist.serving.settings import ServerSettings

__all__ = ["KeyFile", "ServerSettings", "create_app", "serve", "stores"]
