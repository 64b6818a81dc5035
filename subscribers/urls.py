"""The addresses of readers' pages."""

from django.urls import path

from subscribers.views import joining, staying

urlpatterns = [
    path("subscribe/", joining.subscribe, name="subscribe"),
    path("subscribe/check-your-inbox/", joining.check_inbox, name="check-inbox"),
    path("confirm/<str:token>/", joining.confirm, name="confirm"),
    path("preferences/", joining.send_link, name="send-link"),
    path("preferences/<str:token>/", staying.change_preferences, name="preferences"),
    # With and without the slash: a redirect would turn a one-click POST into nothing (RFC 8058).
    path("u/<str:token>", staying.unsubscribe, name="unsubscribe"),
    path("u/<str:token>/", staying.unsubscribe),
    path("undo/<str:token>/", staying.undo, name="undo"),
]
