"""Addresses of the site."""

from django.conf import settings
from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from erasure.admin.home import home
from lineage import api
from lineage.views import map_page

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/", admin.site.admin_view(home)),
    path("admin/map/", admin.site.admin_view(map_page), name="map"),
    path("admin/", admin.site.urls),
    path("api/v1/lineage", api.one),
    path("api/v1/lineage/batch", api.batch),
    path("api/v1/", include("erasure.api.urls")),
]
if not settings.PRODUCTION:
    # In production a web server has what `collectstatic` gathered; here nobody else serves it.
    urlpatterns.append(path("static/<path:path>", serve, {"insecure": True}))
