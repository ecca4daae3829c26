"""The console in a browser: a person, the list, how it came about, and what other settings would give."""

from __future__ import annotations

from typing import Any

from serving.console.console_cases import answer, expect, settle, titles, visit


def test_a_person_is_picked_and_the_history_and_the_list_are_shown(page: Any, address: str):
    page.goto(f"{address}/")
    page.wait_for_selector(".list li")
    first = page.input_value("#user")
    page.click("#user")
    page.fill("#user", "U01")  # in any case
    page.wait_for_selector("#user-list:not([aria-busy]) li")
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
    page.keyboard.press("Enter")  # at once, before anything of that text is listed
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


def test_in_an_experiment_the_funnel_of_the_users_arm_is_shown(page: Any, address: str):
    arms = [{"name": "plain", "share": 1.0, "path": "winter"}]
    assert page.request.put(f"{address}/v1/experiment", data={"name": "winter", "arms": arms}).ok
    page.goto(f"{address}/#lists/")  # somebody new takes no part
    page.wait_for_selector(".list li")
    assert page.get_by_role("tab", name="Rank").count() == 1
    page.fill("#user", "u007")
    page.keyboard.press("Enter")
    expect(page.locator(".facts-line")).to_contain_text("arm plain of the experiment winter")
    expect(page.get_by_role("tab", name="Rank")).to_have_count(0)
    assert page.request.delete(f"{address}/v1/experiment").ok


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
