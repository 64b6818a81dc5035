"""What gunicorn serves in `benchmarks.signups`: the whole site, and beside it one bare view.

Both stand behind the same middleware, in the same processes, on the same database.
"""

import os
from dataclasses import replace

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iria_news.settings")
settings.ROOT_URLCONF = __name__
application = get_wsgi_application()

from subscribers import limits  # noqa: E402  # models need a Django that is set up
from subscribers.models import SignUpRequest  # noqa: E402

NEVER_REACHED = 10**9

# Counted as ever; but one machine signs thousands up here, which is what the limits are against.
for _name in ("NETWORK", "ADDRESS", "DOMAIN", "ALL"):
    setattr(limits, _name, replace(getattr(limits, _name), most=NEVER_REACHED))


@csrf_exempt
def bare(request: HttpRequest) -> HttpResponse:
    """The least that keeps a form: one insert, and a redirect."""
    SignUpRequest.objects.create(address=request.POST["email"], source="/bare/")
    return HttpResponseRedirect("/subscribe/check-your-inbox/")


urlpatterns = [path("bare/", bare), path("", include("iria_news.urls"))]
