from argparse import ArgumentParser

from django.core.management.base import BaseCommand
from django.utils import timezone

from iria_news.articles.demo import newsroom
from iria_news.articles.models import Article
from mailer import opening, tasks
from subscribers import demo
from subscribers.models import Newsletter


class Command(BaseCommand):
    help = "Load the demo newsroom: articles, newsletters, readers; and send a first digest."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--if-empty", action="store_true", help="only if there is no article")
        parser.add_argument("--readers", type=int, default=3, help="how many demo readers")
        parser.add_argument("--no-digest", action="store_true", help="send nothing yet")

    def handle(self, *, if_empty: bool, readers: int, no_digest: bool, **options: object) -> None:
        if if_empty and Article.objects.exists():
            return
        now = timezone.now()
        articles = newsroom.load(now)
        daily = demo.load_newsletters()
        loaded = demo.load_readers(daily, readers, now=now)
        self.stdout.write(f"Demo newsroom: {articles} articles, {loaded} readers.")
        if not no_digest:
            self._send_first_digest(daily)

    def _send_first_digest(self, daily: Newsletter) -> None:
        try:
            edition = opening.send_now(daily, by=None)
        except opening.NothingToSend as reason:  # it was loaded before
            self.stdout.write(f"No digest this time. {reason}")
            return
        tasks.ring_tick()
        self.stdout.write(f"A first digest is on its way: {edition}.")
