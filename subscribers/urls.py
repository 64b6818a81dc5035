"""The addresses of readers' pages."""

from django.urls import path

from subscribers.views import choosing, embedding, joining, leaving, moving, records

urlpatterns = [
    path("subscribe/", joining.subscribe, name="subscribe"),
    path("subscribe/check-your-inbox/", joining.check_inbox, name="check-inbox"),
    path("embed/subscribe/", embedding.subscribe, name="embed-subscribe"),
    path("embed/subscribe/check-your-inbox/", embedding.check_inbox, name="embed-check-inbox"),
    path("confirm/<str:token>/", joining.confirm, name="confirm"),
    path("preferences/", joining.send_link, name="send-link"),
    path("preferences/<str:token>/", choosing.change_preferences, name="preferences"),
    path("preferences/<str:token>/address/", moving.ask, name="change-address"),
    path("preferences/<str:token>/data/", records.download, name="download-data"),
    path("preferences/<str:token>/erase/", records.erase, name="erase"),
    path("address/<str:token>/", moving.confirm, name="new-address"),
    # With and without the slash: a redirect would turn a one-click POST into nothing (RFC 8058).
    path("u/<str:token>", leaving.unsubscribe, name="unsubscribe"),
    path("u/<str:token>/", leaving.unsubscribe),
    path("undo/<str:token>/", leaving.undo, name="undo"),
    path("less/<str:token>/<slug:what>/", leaving.less, name="less"),
]
