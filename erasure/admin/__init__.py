"""The officer's desk: requests with their plans and reasons, what was done, and the evidence."""

from __future__ import annotations

from django.contrib import admin

from erasure.admin import complaints, holds, house, records, requests, retention, roles, trained

__all__ = ["complaints", "holds", "house", "records", "requests", "retention", "roles", "trained"]

admin.site.site_header = "Lethe"
admin.site.site_title = "Lethe"
admin.site.index_title = "Requests to be forgotten"
admin.site.enable_nav_sidebar = False  # the first page leads everywhere; tables need the width
admin.site.site_url = None  # the desk is the whole site: there is nothing else to view
