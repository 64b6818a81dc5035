"""The desk of publishers and operators: what goes out, to whom, and how to steer it."""

from mailer.admin import batches, editions, lanes, newsletters

__all__ = ["batches", "editions", "lanes", "newsletters"]
