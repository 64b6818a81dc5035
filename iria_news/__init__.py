"""IRIA News: the project, and the Celery application that its tasks register with."""

from iria_news.celery import app as celery_app

__all__ = ["celery_app"]
