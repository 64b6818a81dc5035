"""Addresses of editions and of the checks that a supervisor or balancer asks."""

from django.urls import path

from mailer import views

urlpatterns = [
    path("editions/", views.edition_list, name="editions"),
    path("editions/private/<str:token>/", views.private_edition_page, name="private_edition"),
    path("editions/<slug:slug>/", views.edition_page, name="edition"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
]
