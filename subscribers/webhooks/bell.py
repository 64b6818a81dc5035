"""The bell of the worker that calls endpoints."""

from subscribers.doorbell import Bell

_bell = Bell("subscribers.webhooks.tasks.call_endpoints")
ring_after_commit = _bell.ring_after_commit
heard = _bell.heard
