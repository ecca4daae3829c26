"""TLS: the certificate and its key, read before the server starts."""

from __future__ import annotations

import ssl
from pathlib import Path

from shortlist.errors import ConfigError


def tls_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """What a server needs to speak TLS 1.2 and 1.3.

    Args:
        certificate: file of the certificate and those that vouch for it, in PEM.
        key: file of its private key; None where the first file holds it too.

    Raises:
        ConfigError: a file cannot be read, or the two do not fit together.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise ConfigError(
            f"no certificate with its key: {error}",
            where=f"{certificate}, {key or certificate}",
            remedy="give files in PEM that belong together, the key without a password",
        ) from error
    return context


def _no_password() -> str:
    """Nobody is there to be asked."""
    raise ValueError("the key has a password")
