"""Weighty acts of the admin stand on pages of their own: GET asks with numbers, POST acts."""

from dataclasses import asdict, dataclass, field

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse


@dataclass(frozen=True)
class Question:
    """What a person reads before an act. Without a button there is nothing to do but go back."""

    title: str
    question: str
    back: str  # the address of the way back, which stands first
    button: str = ""  # repeats the verb and the number
    sentences: list[str] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)
    is_grave: bool = False  # cannot be undone


class NoFields(forms.Form):
    """For questions that are answered by the button alone."""


def ask(request: HttpRequest, question: Question, form: forms.BaseForm) -> HttpResponse:
    """Show the question; with status 422 and what is wrong when the answer was not valid."""
    context = {**admin.site.each_context(request), **asdict(question), "form": form}
    status = 422 if form.errors else 200
    return TemplateResponse(request, "admin/ask.html", context, status=status)


def person(request: HttpRequest) -> User:
    """Who answers. Behind the door of the admin it is always a member of staff."""
    assert isinstance(request.user, User)
    return request.user
