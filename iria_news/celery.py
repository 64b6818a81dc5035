"""The Celery application. Beat ticks, workers answer doorbells; no result is kept."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iria_news.settings")

app = Celery("iria_news")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
