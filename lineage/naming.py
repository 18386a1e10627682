"""One canonical address per dataset, and aliases joined by union-find. Pure.

OpenLineage names a dataset by a namespace (``postgres://host:5432``) and a name
(``db.schema.table``); producers spell both differently. Rules after the specification's
Naming.md; what cannot be told apart by anybody is one dataset.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

# No table of ours holds a longer one; what is cut off is told by a digest.
LONGEST = 250
_KEPT = 200
_SCHEMES = {
    "postgresql": "postgres",
    "s3a": "s3",
    "s3n": "s3",
    "abfs": "abfss",
    "wasb": "wasbs",
    "mariadb": "mysql",
    "mssql": "sqlserver",
}
_PORTS = {"postgres": 5432, "mysql": 3306, "sqlserver": 1433, "redshift": 5439}
# Schemes whose names are paths: a slash more or less at their ends says nothing.
_PATHS = frozenset(["s3", "gs", "abfss", "wasbs", "hdfs", "dbfs", "file", "obs", "cos"])
# One partition of a table is the table: key=value folders, dates, and what is made anew for every
# run: long numbers (times in seconds or less) and UUIDs. Else every run would be a new dataset.
_PARTITION = re.compile(
    r"(?:/(?:[A-Za-z_][\w.-]*=[^/]*"
    r"|(?:19|20)\d\d(?:-?(?:0[1-9]|1[0-2])(?:-?[0-3]\d)?|/(?:0[1-9]|1[0-2])(?:/[0-3]\d)?)"
    r"|\d{10,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}))+/?$"
)


def canonical(namespace: str, name: str) -> str:
    """The address of a dataset, at most :data:`LONGEST` characters: ``postgres://h:5432/db.s.t``,
    ``s3://bucket/path``, ``bigquery:project.set.table``."""
    space = _namespace(namespace)
    scheme = space.partition("://")[0] if "://" in space else space
    if scheme in _PATHS:
        trimmed = _PARTITION.sub("", "/" + name.strip("/"))
        name = trimmed if trimmed.strip("/") else "/" + name.strip("/")
        separator = ""
    else:
        name = name.strip()
        separator = "/" if "://" in space else ":"
    if space == "file":
        separator = ":"
    return short(f"{space}{separator}{name}")


def job_address(namespace: str, name: str) -> str:
    """The address of a job, where it stands between datasets."""
    return short(f"job:{namespace}:{name}")


def short(address: str) -> str:
    """The address, or its beginning and a digest of the whole."""
    if len(address) <= LONGEST:
        return address
    digest = hashlib.sha256(address.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{address[:_KEPT]}…{digest[:32]}"


def _namespace(text: str) -> str:
    scheme, found, rest = text.strip().partition("://")
    if not found:
        return _SCHEMES.get(text.strip().lower(), text.strip().rstrip("/") or text.strip())
    scheme = _SCHEMES.get(scheme.lower(), scheme.lower())
    host, slash, path = rest.partition("/")
    # A login in an address is nobody's business, and no part of the name.
    host = host.rpartition("@")[2].lower()
    if scheme in _PORTS and host and ":" not in host:
        host = f"{host}:{_PORTS[scheme]}"
    if scheme == "file" and not host:
        return "file" if not path.strip("/") else f"file:/{path.strip('/')}"
    return f"{scheme}://{host}{slash}{path}".rstrip("/")


def of_store(kind: str, url: str, schema: str | None, name: str) -> tuple[str, str] | None:
    """Namespace and name of a catalogued dataset in events, by its store's resolved address; None
    where that says nothing."""
    parts = urlsplit(url)
    scheme = scheme_of(url)
    if kind == "sql" and scheme in _PORTS and parts.hostname:
        host = parts.netloc.rpartition("@")[2]
        database = unquote(parts.path.strip("/"))
        within = [schema] if schema else ["public"] if scheme == "postgres" else []
        return _namespace(f"{scheme}://{host}"), ".".join([database, *within, name])
    if kind in ("files", "logs", "delta", "iceberg") and scheme in _PATHS:
        folder = "/".join([unquote(parts.path).strip("/"), name])
        space = f"{scheme}://{parts.netloc}" if parts.netloc else scheme
        return _namespace(space), f"/{folder}" if space == "file" else folder
    return None


def scheme_of(url: str) -> str:
    """What a store's address begins with, as events call it: ``postgres``, ``s3``."""
    scheme = urlsplit(url).scheme.partition("+")[0]
    return _SCHEMES.get(scheme, scheme)


def of_prefix(prefix: str, schema: str | None, name: str) -> list[tuple[str, str]]:
    """The same, by a prefix that a person wrote: ``postgres://host:5432/db.`` or ``bigquery:p.``;
    with and without the schema."""
    names = [f"{schema}.{name}", name] if schema else [name]
    return [split(prefix + one) for one in names]


def split(address: str) -> tuple[str, str]:
    """Namespace and name of an address: the reverse of :func:`canonical`."""
    scheme, found, rest = address.partition("://")
    if found:
        host, _, path = rest.partition("/")
        return _namespace(f"{scheme}://{host}"), path
    namespace, _, name = address.partition(":")
    return namespace, name


class Aliases:
    """Union-find over addresses: what is joined is one dataset, named by the least address, so
    that the order in which aliases were heard of changes nothing."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._parent: dict[str, str] = {}
        for one, other in pairs:
            self.join(one, other)

    def find(self, address: str) -> str:
        """The name under which the dataset goes."""
        root = address
        while (above := self._parent.get(root, root)) != root:
            root = above
        while (above := self._parent.get(address, address)) != root:
            self._parent[address], address = root, above
        return root

    def join(self, one: str, other: str) -> str:
        """Both are the same dataset; returns its name."""
        first, second = sorted((self.find(one), self.find(other)))
        self._parent[first] = self._parent[second] = first
        return first

    def groups(self) -> dict[str, list[str]]:
        """Every dataset that has more than one name, with all of them, sorted."""
        found: dict[str, list[str]] = {}
        for address in sorted(self._parent):
            found.setdefault(self.find(address), []).append(address)
        return found
