"""The map: where anybody's data can be, drawn and listed; and the same of one plan."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from erasure.models import ErasureRequest
from lineage import catalog
from lineage.decisions import decide
from lineage.importers import fideslang
from tests.lineage.atlas_cast import estate, import_estate
from tests.lineage.events import dataset
from tests.lineage.heard_cast import CATALOGUE, CUSTOMER, events, flow
from tests.web.browser import measured, printed
from tests.web.conftest import LIST, Person, everything_written

pytestmark = pytest.mark.django_db
MAP = "/admin/map/"


def shown(text: str) -> set[str]:
    """The datasets that are drawn."""
    return set(re.findall(r'<a [^>]*class="spot[^>]*aria-label="([^" ]+) in', text))


def lit(text: str) -> list[str]:
    return re.findall(r'class="spot lit"[^>]*aria-label="([^" ]+) in', text)


def listed(text: str) -> set[str]:
    return set(re.findall(r'<th scope="row"><a [^>]*>([^<]+)</a>', text))


def page(who: Person, query: str = "") -> str:
    answer = who.get(f"{MAP}{query}")
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_everything_that_is_drawn_is_listed_with_the_same_words(officer: Person) -> None:
    import_estate(40)
    text = page(officer)
    assert shown(text) == listed(text)
    made = {placed.value.address for placed in estate(40).datasets}
    assert {"shop.customer", "crm.contact", "hr.lost_0", "hr.lost_1"} <= shown(text) <= made
    for heading in ("Found by identity", "1 step away", "Made from them", "Models", "Backups"):
        assert heading in text
    assert text.count("Recipients</text>") == 1
    assert "Nothing leads here" in text
    assert "<script" not in text[text.index('<article class="map">') :]


def test_the_path_of_a_dataset_is_lit_from_the_person_to_it(officer: Person) -> None:
    import_estate(40)
    far = max(
        re.findall(r'<th scope="row"><a [^>]*>([^<]+)</a>.*?<summary>(\d) step', page(officer)),
        key=lambda found: int(found[1]),
    )
    address, steps = far[0], int(far[1])
    assert steps >= 3
    text = page(officer, f"?dataset={address}")
    path = lit(text)
    assert len(path) == steps + 1
    assert address in path
    seeds = 1 if path[0] == "crm.contact" else 2  # lines from the identifiers
    assert len(re.findall(r'class="line [^"]* lit"', text)) == steps + seeds
    assert 'id="here" aria-current="true"' in text
    assert f'<h2 id="chosen-title">{address}' in text
    assert "(deep)" not in text
    assert "no dataset of that name" in page(officer, "?dataset=shop.nothing")


def test_a_search_lights_what_it_finds_and_lists_only_that(officer: Person) -> None:
    import_estate(40)
    everything = page(officer)
    text = page(officer, "?q=refund")
    wanted = {address for address in listed(everything) if "refund" in address}
    assert wanted
    assert listed(text) == set(lit(text)) == wanted
    assert shown(text) == shown(everything)
    assert "0 datasets found" in page(officer, "?q=zebra")
    assert "hr.lost_0" in listed(page(officer, "?q=hr_db"))  # by store
    assert "shop.customer" in listed(page(officer, "?q=customer_no"))  # by field


@pytest.mark.parametrize("q", ["ann.archer@example.com", "0151 2345678", "12345678"])
def test_a_persons_data_are_not_searched_for_on_the_map(officer: Person, q: str) -> None:
    import_estate(5)
    answer = officer.get(f"{MAP}?q={q}")
    assert (answer.status_code, answer.headers["Location"]) == (302, MAP)
    assert "a person&#x27;s data do not belong there" in page(officer)
    officer.answers.clear()  # the address was typed by hand; the answer leads away from it


def test_only_the_nearest_are_drawn_and_what_is_looked_for_is_among_them(officer: Person) -> None:
    import_estate(420)
    text = page(officer)
    assert len(shown(text)) == 300
    (left,) = re.findall(r"(\d+) more are in the list", text)
    assert len(listed(text)) == 300 + int(left)
    (hidden, *_) = sorted(listed(text) - shown(text))
    assert {hidden} <= shown(page(officer, f"?dataset={hidden}"))


def test_what_only_events_know_is_on_the_map_with_what_is_to_be_decided(officer: Person) -> None:
    catalog.upsert(fideslang.read_text(CATALOGUE, "shop.yml"))
    events(
        flow(dataset("mart"), CUSTOMER, ("who", "id", "IDENTITY")),
        flow(dataset("sums"), CUSTOMER, ("n", "id", "AGGREGATION")),
    )
    text = page(officer)
    assert {"shop.customer", "db:mart", "db:sums"} <= shown(text) == listed(text)
    assert "Recipients</text>" not in text  # nobody was given it; it was made here
    assert text.count(">decide</text>") >= 2
    decide("db:sums", choice="rebuild", because="nightly", by="dpo", on=date(2026, 11, 22))
    chosen = page(officer, "?dataset=db:sums")
    assert lit(chosen) == ["shop.customer", "db:sums"]
    assert ">rebuild</text>" in chosen
    assert "What lineage events told of it" in chosen
    assert listed(page(officer, "?q=mart")) == {"db:mart"}


def test_a_catalogue_with_nothing_in_it_says_what_to_do(officer: Person) -> None:
    assert "import a catalogue with" in page(officer)


def test_who_has_no_business_here_sees_no_map(
    intruder: Person, stranger: Person, planned: ErasureRequest
) -> None:
    before = everything_written()
    for address in (MAP, f"{LIST}{planned.pk}/map/"):
        assert intruder.get(address).status_code == 403
        assert stranger.get(address).status_code == 302
    assert everything_written() == before


def test_a_plan_is_the_same_map_with_what_will_be_done(
    officer: Person, planned: ErasureRequest
) -> None:
    assert f"{LIST}{planned.pk}/map/" in officer.case(planned)
    text = str(officer.get(f"{LIST}{planned.pk}/map/").content.decode())
    said = re.findall(
        r'<th scope="row"><a [^>]*>([^<]+)</a>.*?class="does does-(\w+)">([^<]+)<', text
    )
    deeds = {address: (tone, words) for address, tone, words in said}
    assert deeds["shop.customer"] == ("change", "Anonymise, the row stays (1 row)")
    assert deeds["shop.orders"] == ("go", "Delete (2 rows)")
    assert deeds["shop.invoice"] == ("stay", "Keep: the law asks for it (1 row)")
    assert ">anon 1</text>" in text
    assert ">delete 2</text>" in text
    chosen = officer.get(f"{LIST}{planned.pk}/map/?dataset=shop.orders").content.decode()
    assert lit(chosen) == ["shop.customer", "shop.orders"]


def test_the_cost_of_a_page_does_not_grow_with_the_catalogue(
    officer: Person, django_assert_max_num_queries: object
) -> None:
    import_estate(300)
    with django_assert_max_num_queries(60):  # type: ignore[operator]
        page(officer)


MEASURE = """(function () {
  var boxes = [...document.querySelectorAll('.spot .card')].map(b => b.getBoundingClientRect());
  var over = 0, out = 0, small = 99;
  boxes.forEach((a, i) => boxes.slice(i + 1).forEach(b => {
    var beside = a.left >= b.right - 1 || b.left >= a.right - 1;
    if (!beside && a.top < b.bottom - 1 && b.top < a.bottom - 1) over++; }));
  document.querySelectorAll('.spot').forEach(s => {
    var card = s.querySelector('.card').getBoundingClientRect();
    var texts = [...s.querySelectorAll('text')].map(t => t.getBoundingClientRect());
    texts.forEach(t => { if (t.left < card.left || t.right > card.right + 1) out++; });
    var name = texts[0], tag = texts[texts.length - 1];
    if (texts.length > 1 && name.right > tag.left && name.bottom > tag.top + 6) out++;
    small = Math.min(small, name.height); });
  return {boxes: boxes.length, over: over, out: out, small: small,
          wide: document.documentElement.scrollWidth - document.documentElement.clientWidth};
})()"""


@pytest.mark.parametrize(("size", "width"), [(5, 390), (40, 1280), (300, 390), (300, 1280)])
def test_in_a_browser_no_box_covers_another_and_no_word_leaves_its_box(
    officer: Person, tmp_path: Path, size: int, width: int
) -> None:
    import_estate(size)
    text = page(officer)
    found = measured(text, tmp_path, MEASURE, width=width)
    assert found["boxes"] == len(shown(text)) >= size * 0.8
    assert (found["over"], found["out"]) == (0, 0)
    assert found["small"] >= 10  # a line of text, in pixels
    assert found["wide"] <= 0  # the map is pushed aside, not the page


def colours() -> list[dict[str, str]]:
    """The variables of light and of dark."""
    path = finders.find("lineage/map.css")
    assert isinstance(path, str)
    text = Path(path).read_text()
    dark = text.index("prefers-color-scheme: dark")
    return [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part))
        for part in (text[:dark], text[dark : text.index('html[data-theme="dark"]')])
    ]


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_every_word_on_every_colour_can_be_read(theme: int) -> None:
    found = colours()[theme]
    page_colour = ("#ffffff", "#121212")[theme]
    fills = [found[name] for name in found if name.startswith("map-")
             and name not in ("map-fg", "map-quiet", "map-line", "map-lit")]  # fmt: skip
    assert len(fills) == 7
    words = [found[n] for n in found if n.startswith("tone-") or n in ("map-fg", "map-quiet")]
    poor = [(w, f) for w in words for f in fills if contrast(w, f) < 4.5]
    assert poor == []
    bars = [found[n] for n in found if n.startswith("hue-") or n in ("map-line", "map-lit")]
    assert [b for b in bars if contrast(b, page_colour) < 3] == []


A4, A3, A2 = (842, 595), (1191, 842), (1684, 1191)


@pytest.mark.parametrize(("size", "larger"), [(5, None), (40, A3), (300, A2)])
def test_on_paper_the_picture_has_a_page_on_which_it_can_be_read(
    officer: Person, tmp_path: Path, size: int, larger: tuple[int, int] | None
) -> None:
    import_estate(size)
    sheets = printed(page(officer), tmp_path)
    assert sheets[0] == sheets[-1] == A4
    assert [sheet for sheet in sheets if sheet != A4] == ([larger] if larger else [])
    assert len(sheets) <= 2 + size / 8  # the list is a list, and no pile of paper
