"""The console in a browser: traffic, bundles, keyboard, themes, a phone, keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from serving.console.console_cases import (
    ARTEFACTS,
    PHONE,
    Watched,
    answer,
    barriers,
    check_view,
    expect,
    listening,
    settle,
    tab_to,
    titles,
    visit,
)

from shortlist.serving import KeyFile, ServerSettings, create_app


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
    page.wait_for_selector("#user-list:not([aria-busy]) li")
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
