"""TLS on loopback: a certificate for 127.0.0.1 that nobody trusts unless told to."""

import ssl
from pathlib import Path

CERTIFICATE = Path(__file__).parent / "loopback.pem"


def context() -> ssl.SSLContext:
    """What a server needs."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(CERTIFICATE)
    return made
