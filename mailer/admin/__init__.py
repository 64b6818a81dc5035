"""The desk of publishers and operators: what goes out, to whom, and how to steer it."""

from mailer.admin import articles, batches, editions, lanes, newsletters

__all__ = ["articles", "batches", "editions", "lanes", "newsletters"]
