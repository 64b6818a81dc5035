"""The second transport: any Django email backend, and with anymail any provider's HTTP interface.

For servers whose URL is backend:// and a dotted path. Slower than our SMTP session, and blind to
the moment at which a call failed: a lost answer is always in doubt (docs/transports.md).
"""

from iria_news.backend.session import BackendSession, open_session

__all__ = ["BackendSession", "open_session"]
