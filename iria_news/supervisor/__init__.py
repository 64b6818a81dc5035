"""The one-machine default: one command that starts, watches and stops every part.

`python -m iria_news.supervisor` claims the data folder and the port (`claims`), prepares the
database (`preparation`, a process of its own) and keeps the parts running (`service`, `children`).
"""
