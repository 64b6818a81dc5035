"""Staff accounts, in the look of the other pages."""

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User

from iria_news.frame import admin_base

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, admin_base.ModelAdmin):
    form = admin_base.UserChangeForm
    add_form = admin_base.UserCreationForm
    change_password_form = admin_base.AdminPasswordChangeForm
    list_display = ["username", "first_name", "last_name", "is_staff", "is_active", "last_login"]
    filter_horizontal = []  # its two boxes need a mouse and a wide screen


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, admin_base.ModelAdmin):
    filter_horizontal = []
