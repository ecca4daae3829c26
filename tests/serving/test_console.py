"""The console in a browser: a person, the list and how it came about, sliders, traffic, bundles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving.console_cases import ARTEFACTS, CONTRASTS, barriers, chromium, expect, listening, save_cinema

from shortlist.serving import KeyFile, ServerSettings, create_app

DESK, PHONE = {"width": 1440, "height": 1000}, {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def cinema(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_cinema(tmp_path_factory.mktemp("cinema"))


@pytest.fixture(scope="module")
def app(cinema: Path) -> Any:
    settings = ServerSettings(store=f"sqlite:///{cinema / 'store.db'}", budget=30.0, longest_wait=30.0)
    return create_app(cinema / "autumn", settings)


@pytest.fixture(scope="module")
def address(app: Any) -> Iterator[str]:
    with listening(app) as there:
        yield there


class Watched:
    """A page in which everything that should not happen is noted."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        options = {"viewport": DESK, "reduced_motion": "reduce", "locale": "en-GB", **options}
        self.context = browser.new_context(**options)
        self.page, self.wrong = self.context.new_page(), list[str]()
        self.page.set_default_timeout(10_000)
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda sent: sent.url.startswith(address) or self.wrong.append(sent.url))

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(message.text)


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The console at a desk; at the end, nothing was logged and nobody else was asked."""
    watched = Watched(browser, address)
    yield watched.page
    watched.context.close()
    assert watched.wrong == []


def visit(page: Any, address: str, user: str = "u007") -> None:
    page.goto(f"{address}/#lists/{user}")
    page.wait_for_selector(".list li")


def titles(page: Any) -> list[str]:
    return page.locator(".list .link").all_inner_texts()


def settle(page: Any) -> None:
    """Wait until what was asked for is shown."""
    page.wait_for_selector("#lists:not([aria-busy])")


def answer(page: Any, address: str, **request: Any) -> dict[str, Any]:
    return page.request.post(f"{address}/v1/recommend", data=request).json()


def tab_to(page: Any, selector: str) -> None:
    """Press the tabulator until something has the focus, which can be seen all the way."""
    for _ in range(120):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            continue  # between the end of the page and its beginning
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"the keyboard does not reach {selector}")


def test_a_person_is_picked_and_the_history_and_the_list_are_shown(page: Any, address: str):
    page.goto(f"{address}/")
    page.wait_for_selector(".list li")
    first = page.input_value("#user")
    page.click("#user")
    page.fill("#user", "U01")  # in any case
    page.wait_for_selector("#user-list li")
    chosen = page.locator("#user-list li span").nth(1).inner_text()
    assert chosen != first
    page.locator("#user-list li").nth(1).click()
    expect(page).to_have_url(f"{address}/#lists/{chosen}")
    settle(page)
    expected = answer(page, address, user=chosen, fields=["title"])
    assert titles(page) == expected["columns"]["title"]
    known = page.request.get(f"{address}/v1/users/{chosen}/history").json()
    page.wait_for_selector(".events li")
    assert page.locator(".events .link").first.inner_text() == known["titles"][-1]
    assert f"{known['events']} events" in page.inner_text(".past")


def test_the_funnel_shows_each_stage_and_why_items_stay_or_go(page: Any, address: str):
    visit(page, address)
    traced = answer(page, address, user="u007", explain=True)
    tabs = page.get_by_role("tab")
    counts = [len(stage["items"]) for stage in traced["stages"]] + [len(traced["items"])]
    shown = page.locator("button.stage .count").all_inner_texts()
    assert [int(text.split()[0]) for text in shown] == counts
    assert tabs.nth(0).get_attribute("aria-selected") == "true"
    panel = page.locator("#stage-panel")
    assert "found by towers" in panel.inner_text()
    for stage, filter_, reason in (
        ("Rank", "Dropped", "behind the best 60 items"),
        ("Exclude", "Dropped", "year < 2019"),
        ("Freshness", "All", " % fresh"),
        ("Diversity", "All", "those above it"),
        ("List", "Dropped", "the list has 10 places"),
    ):
        page.get_by_role("tab", name=stage).click()
        panel.locator(".filters button", has_text=filter_).click()
        assert reason in panel.locator("tbody tr").first.inner_text(), stage


def test_the_sliders_change_the_list_and_can_be_put_back(page: Any, address: str):
    visit(page, address)
    own = titles(page)
    for slider in ("Diversity", "Freshness"):
        page.get_by_label(slider, exact=True).fill("1")
        settle(page)
        assert titles(page) != own
        assert page.locator(".move.up, .move.new").count() > 0
        page.get_by_role("button", name="Reset").click()
        settle(page)
        assert titles(page) == own
        assert page.locator(".move").count() == 0
    page.get_by_label("Length").select_option("24")
    settle(page)
    assert len(titles(page)) == 24


def test_an_item_is_found_and_its_way_through_the_funnel_told(page: Any, address: str):
    visit(page, address)
    traced = answer(page, address, user="u007", explain=True, fields=["title"])
    retrieved = traced["stages"][0]
    lost = next(
        place for place, id_ in enumerate(retrieved["items"]) if id_ not in traced["stages"][1]["items"]
    )
    title = retrieved["columns"]["title"][lost]
    page.click("#item-search")
    page.fill("#item-search", title.upper())
    page.wait_for_selector("#item-search-list li")
    page.keyboard.press("Enter")
    drawer = page.locator("#item")
    drawer.locator(".near li").first.wait_for()
    assert drawer.locator("h2").inner_text() == title
    way = drawer.locator(".way li").all_inner_texts()
    assert len(way) == 2
    assert way[0].startswith("Retrieve kept")
    assert way[1].startswith("Rank dropped")
    drawer.locator(".near .link").first.click()
    expect(drawer.locator("h2")).not_to_have_text(title)
    page.keyboard.press("Escape")
    assert not page.locator("#item").is_visible()


def test_an_item_that_the_user_had_is_said_to_be_left_out(page: Any, address: str):
    visit(page, address)
    page.locator(".events .link").first.click()
    page.locator("#item .way li").first.wait_for()
    assert "the user had it before" in page.inner_text("#item .way")


def test_what_just_happened_is_shown_when_the_list_is_asked_for_again(page: Any, address: str):
    visit(page, address, "a stranger")
    assert page.locator(".events li").count() == 0
    before = titles(page)
    liked = answer(page, address, k=2)["items"]
    events = [{"id": item, "user": "a stranger", "item": item} for item in liked]
    assert page.request.post(f"{address}/v1/events", data={"events": events}).ok
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".events .live")).to_have_text(["since training"] * 2)
    settle(page)
    assert titles(page) != before


def test_a_stage_that_was_cut_is_named(page: Any, address: str, app: Any):
    typical = app.state.service.shelf.engine.clock.typical
    typical["diversity"] = 1e9
    visit(page, address)
    typical.pop("diversity")
    assert "left out for lack of time: diversity" in page.inner_text("#lists [role=status].facts-line")
    assert page.get_by_role("tab", name="Diversity").count() == 0


def test_what_items_are_called_is_text_and_never_a_page(page: Any, address: str, app: Any):
    title = "<img src=x onerror=alert(1)><b>Bold</b>"
    page.request.put(f"{address}/v1/items/odd", data={"columns": {"title": title, "genres": ["<i>"]}})
    app.state.service.shelf.refresh()
    visit(page, address)
    page.click("#item-search")
    page.fill("#item-search", "onerror")
    expect(page.locator("#item-search-list li span")).to_have_text(title)
    page.keyboard.press("Enter")
    expect(page.locator("#item h2")).to_have_text(title)
    assert page.locator("#item img, #item b, #item i").count() == 0
    page.request.delete(f"{address}/v1/items/odd")


def test_traffic_is_watched_as_it_comes(page: Any, address: str):
    visit(page, address)
    page.get_by_role("link", name="Traffic").click()
    page.wait_for_selector(".tiles dd")
    page.get_by_role("button", name="Pause").click()
    for _ in range(3):
        answer(page, address, user="u001")
    page.get_by_role("button", name="Go on").click()
    page.wait_for_selector(".line")
    tiles = dict(
        zip(
            page.locator(".tiles dt").all_inner_texts(),
            page.locator(".tiles dd").all_inner_texts(),
            strict=True,
        )
    )
    assert float(tiles["Requests a second"]) > 0
    assert tiles["Lists: median"].endswith("s")
    assert "recommend" in page.inner_text("#traffic table")
    assert "diversity" in page.inner_text(".meters")


def test_bundles_are_listed_changed_and_rolled_back(page: Any, address: str):
    before = page.request.get(f"{address}/v1/bundles").json()["current"]
    visit(page, address)
    page.get_by_role("link", name="Bundles").click()
    page.wait_for_selector("#bundles li.card")
    cards = page.locator("#bundles li.card")
    assert sorted(cards.locator("h4").all_inner_texts()) == ["autumnanswers now", "winter"]
    cards.get_by_role("button", name="Answer from this one").click()
    page.get_by_role("button", name="Cancel").click()
    assert page.request.get(f"{address}/v1/bundles").json()["current"] == before
    cards.get_by_role("button", name="Answer from this one").click()
    page.get_by_role("button", name="Answer from it").click()
    page.wait_for_selector("#roll-back")
    expect(page.locator("#bundle")).not_to_have_text(before)
    page.click("#roll-back")
    page.locator("#confirm").get_by_role("button", name="Roll back").click()
    expect(page.locator("#bundle")).to_have_text(before)
    assert page.request.get(f"{address}/v1/bundles").json()["current"] == before


def test_everything_is_reached_by_the_keyboard_alone(page: Any, address: str):
    visit(page, address)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    tab_to(page, "#user")
    page.keyboard.type("u02")
    page.wait_for_selector("#user-list li")
    page.keyboard.press("ArrowDown")
    named = page.get_attribute("#user", "aria-activedescendant")
    chosen = page.locator(f"#{named} span").inner_text()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{address}/#lists/{chosen}")
    settle(page)
    own = titles(page)
    tab_to(page, "#tune-diversity")
    page.keyboard.press("End")
    settle(page)
    assert titles(page) != own
    tab_to(page, "[role=tab]")
    page.keyboard.press("ArrowDown")
    assert page.locator("[role=tab][aria-selected=true]").get_attribute("id") == "stage-1"
    assert page.evaluate("document.activeElement.id") == "stage-1"
    tab_to(page, "#stage-panel .link")
    page.keyboard.press("Enter")
    page.locator("#item .way li").first.wait_for()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.matches('#stage-panel .link')")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_and_nobody_is_shut_out_in_both_themes(browser: Any, address: str, theme: str):
    watched = Watched(browser, address, color_scheme=theme)
    page = watched.page
    visit(page, address)
    page.get_by_label("Diversity", exact=True).fill("0.8")
    settle(page)
    check_view(page, f"lists-{theme}")
    page.get_by_role("tab", name="Rank").click()
    page.locator(".list .link").first.click()
    page.locator("#item .near li").first.wait_for()
    check_view(page, f"item-{theme}")
    page.keyboard.press("Escape")
    for view in ("Traffic", "Bundles"):
        page.get_by_role("link", name=view).click()
        page.wait_for_selector(".tiles dd" if view == "Traffic" else "#bundles li.card")
        for _ in range(5 if view == "Traffic" else 0):  # so that there is something to draw
            answer(page, address, user="u001")
            page.wait_for_timeout(500)
        check_view(page, f"{view.lower()}-{theme}")
    watched.context.close()
    assert watched.wrong == []


def check_view(page: Any, name: str) -> None:
    """Keep a picture; all text has the contrast of WCAG 2.2 AA, and axe finds no barrier."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")
    faint = [(round(ratio, 2), text) for ratio, text in page.evaluate(CONTRASTS) if ratio < 4.5]
    assert faint == []
    assert barriers(page) == []


def test_the_theme_can_be_chosen_and_is_remembered(page: Any, address: str):
    visit(page, address)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.click("#theme")
    dark = page.evaluate(ground)
    assert dark != light
    assert page.get_attribute("#theme", "aria-pressed") == "true"
    page.reload()
    page.wait_for_selector(".list li")
    assert page.evaluate(ground) == dark


def test_nothing_is_wider_than_a_phone(browser: Any, address: str):
    watched = Watched(browser, address, viewport=PHONE, device_scale_factor=2, has_touch=True, is_mobile=True)
    page, width = watched.page, "document.documentElement.scrollWidth"
    visit(page, address)
    for tab in range(page.get_by_role("tab").count()):
        page.get_by_role("tab").nth(tab).tap()
        assert page.evaluate(width) == PHONE["width"], tab
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / "lists-phone.png", full_page=True)
    page.locator(".list .link").first.tap()
    page.locator("#item .near li").first.wait_for()
    assert page.evaluate("document.querySelector('#item').scrollWidth") <= PHONE["width"]
    page.screenshot(path=ARTEFACTS / "item-phone.png")
    page.keyboard.press("Escape")
    for view in ("Traffic", "Bundles"):
        assert barriers(page) == []
        page.get_by_role("link", name=view).tap()
        page.wait_for_selector(".tiles dd" if view == "Traffic" else "#bundles li.card")
        assert page.evaluate(width) == PHONE["width"], view
        page.screenshot(path=ARTEFACTS / f"{view.lower()}-phone.png", full_page=True)
    watched.context.close()
    assert watched.wrong == []


def test_a_key_is_asked_for_kept_in_the_tab_alone_and_its_limits_are_told(
    browser: Any, cinema: Path, tmp_path: Path
):
    keys = tmp_path / "keys.json"
    key = KeyFile(keys).create("a viewer", ["recommend"])
    settings = ServerSettings(
        store=f"sqlite:///{tmp_path / 'store.db'}", keys=keys, budget=30.0, longest_wait=30.0
    )
    with listening(create_app(cinema / "winter", settings)) as address:
        watched = Watched(browser, address)
        page = watched.page
        page.goto(f"{address}/")
        page.wait_for_selector("#key[open]")
        page.screenshot(path=ARTEFACTS / "key.png")
        page.get_by_label("Key", exact=True).fill("sl_wrong_key")
        page.keyboard.press("Enter")
        expect(page.locator("#key-problem")).to_contain_text("not valid")
        page.get_by_label("Key", exact=True).fill(key)
        page.keyboard.press("Enter")
        page.wait_for_selector(".list li")
        assert page.evaluate(
            "[Object.values(sessionStorage), Object.values(localStorage), document.cookie]"
        ) == [
            [key],
            [],
            "",
        ]
        page.click("#user")
        page.wait_for_selector("#user-note:not(:empty)")
        assert "scope inspect" in page.inner_text("#user-note")
        page.get_by_role("link", name="Bundles").click()
        expect(page.locator("#bundles .problem")).to_contain_text("the scope 'bundles'")
        page.click("#forget")
        page.wait_for_selector("#key[open]")
        assert page.evaluate("sessionStorage.length") == 0
        watched.context.close()
        # What the server refused is logged by the browser itself, and nothing else.
        assert [text for text in watched.wrong if "status of 40" not in text] == []
