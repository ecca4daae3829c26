"""A bundle behind HTTP, and events that are never lost; needs `pip install 'shortlist[serve]'`."""

from shortlist.serving import stores
from shortlist.serving.http.app import create_app
from shortlist.serving.http.server import serve
from shortlist.serving.security.keys import KeyFile
from shortlist.serving.settings import ServerSettings

__all__ = ["KeyFile", "ServerSettings", "create_app", "serve", "stores"]
