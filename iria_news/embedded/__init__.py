"""What the one-machine default brings along: a Redis-compatible server, a mail catcher."""
