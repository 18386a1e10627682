"""Views in a draft: shown with what they are made of, and never acted on themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from lineage.importers.suggestions import Suggestion
from lineage.importers.views import Viewed
from lineage.importers.writing import quoted
from lineage.schema import View

_SHOWS = "a view: it keeps no rows of its own"
Address = Callable[[str], str]


def view_lines(
    name: str,
    viewed: Viewed,
    suggestions: Mapping[tuple[str, str], Suggestion],
    address: Address,
) -> Iterator[str]:
    """The collection of one view. ``address``: of a collection, as other entries name it."""
    view = viewed.views[name]
    yield f"      - name: {quoted(view.name)}  # a {view.kind}"
    if name in viewed.unread:
        yield f"        # decide: derived_from; its query says nothing: {viewed.unread[name]}"
    if view.keeps_rows:
        named = f"{view.schema}.{view.name}" if view.schema else view.name
        refresh = f"options: {{refresh: [{quoted(named)}]}}"
        yield f"        # decide: it keeps a copy, which {refresh} on the store"
        yield "        # builds anew after an erasure; give it action: ignore, and say that in"
        yield "        # because, or name the job that does"
    sources = [_source(name, source, viewed, address) for source in viewed.sources[name]]
    parts = [] if view.keeps_rows else ["action: ignore", f'because: "{_SHOWS}"']
    if parts or sources:
        yield "        erasure:"
    yield from (f"          {part}" for part in parts)
    if sources:
        yield "          derived_from:"
        yield from sources
    yield from _fields(name, view, viewed, suggestions)


def _source(name: str, source: str, viewed: Viewed, address: Address) -> str:
    copies = viewed.copies(name, source)
    columns = ", ".join(f"{quoted(mine)}: {quoted(theirs)}" for mine, theirs in copies.items())
    shown = f", columns: {{{columns}}}" if columns else ""
    changed = ", ".join(
        f"{mine} from {theirs}" for mine, theirs in viewed.worked_out(name, source).items()
    )
    aside = f"  # worked out: {changed}" if changed else ""
    return f"            - {{dataset: {quoted(address(source))}, kind: derived{shown}}}{aside}"


def _fields(
    name: str,
    view: View,
    viewed: Viewed,
    suggestions: Mapping[tuple[str, str], Suggestion],
) -> Iterator[str]:
    if not view.columns:
        yield "        fields: []"
        return
    yield "        fields:"
    for column in view.columns:
        categories: dict[str, None] = {}
        for flow in viewed.flows:
            if (flow.target, flow.target_field) == (name, column.name):
                found = suggestions.get((flow.source, flow.source_field))
                if found and found.confidence != "low" and flow.kind != "aggregation":
                    categories.update(dict.fromkeys(found.categories))
        said = f", data_categories: [{', '.join(categories)}]" if categories else ""
        yield f"          - {{name: {quoted(column.name)}{said}}}"
