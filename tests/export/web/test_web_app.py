"""The app in a browser: it recommends, follows, remembers without a network, and forgets."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from export.web.web_cases import (
    Site,
    check_picture,
    cinema,
    installed,
    offline_noise,
    open_app,
    pick,
    save_app,
    settled,
    titles,
)
from serving.console.console_cases import DESK, PHONE, Watched, expect, tab_to


def test_a_pick_changes_the_list_at_once_and_can_be_taken_back(page: Any, site: Site):
    open_app(page, site.address)
    first = titles(page)
    assert len(first) == 12
    assert page.inner_text("#list-title") == "To begin with"
    liked = pick(page, "river")
    assert page.inner_text("#list-title") == "For you"
    assert titles(page) != first
    assert liked not in titles(page)
    assert page.inner_text(".chips li span") == liked
    expect(page.locator("#said")).to_contain_text(f"You like {liked}")
    taken_back = settled(page, lambda: page.get_by_label(f"Take back: {liked}").click())
    assert taken_back == first


def test_likes_and_dislikes_in_the_list_move_it_and_leave_it(page: Any, site: Site):
    open_app(page, site.address)
    pick(page, "stone")
    disliked = titles(page)[0]
    without = settled(page, lambda: page.get_by_role("button", name=f"Not for me: {disliked}").click())
    assert disliked not in without
    liked = without[1]
    with_it = settled(page, lambda: page.get_by_role("button", name=f"Like: {liked}").click())
    assert liked not in with_it
    assert page.evaluate("document.activeElement.closest('#list > li') !== null")
    assert "Not for you (1)" in page.inner_text("#picked")


def test_the_slider_and_the_kind_change_the_list(page: Any, site: Site):
    open_app(page, site.address)
    pick(page, "winter")
    settled(page, lambda: page.get_by_label("Diversity").fill("18"))
    expect(page.locator(".slider output")).to_have_text("90 %")
    settled(page, lambda: page.get_by_label("Filter by genres").select_option("Crime"))
    about = page.locator("#list .what small:first-of-type").all_inner_texts()
    assert len(about) == 12
    assert all("Crime" in text for text in about)
    page.reload()
    page.wait_for_selector("section[aria-busy=false] .list li")
    assert page.input_value("#diversity") == "18"
    assert page.input_value("#kind") == "Crime"


def test_changes_that_come_faster_than_they_are_drawn_end_with_the_last(browser: Any, site: Site):
    watched = Watched(browser, site.address, viewport=PHONE, reduced_motion="no-preference")
    page = watched.page
    open_app(page, site.address)
    pick(page, "island")
    slow = settled(page, lambda: page.get_by_label("Diversity").fill("20"))
    for value in (0, 12, 3, 17, 20):
        page.get_by_label("Diversity").fill(str(value))
    expect(page.locator("#list .link")).to_have_text(slow)
    settled(page, lambda: page.locator("#list .judge button").first.click())
    watched.context.close()
    assert watched.wrong == []


def test_it_goes_on_with_the_server_stopped_and_forgets_on_request(browser: Any, site: Site):
    watched = Watched(browser, site.address, viewport=PHONE)
    page = watched.page
    open_app(page, site.address)
    liked = pick(page, "falcon")
    installed(page)
    kept = titles(page)
    site.stop()
    page.reload()
    page.wait_for_selector("section[aria-busy=false] .list li")
    assert titles(page) == kept
    assert page.inner_text(".chips li span") == liked
    assert page.evaluate("crossOriginIsolated")  # the service worker says so, whatever the server does
    page.click("#forget")
    page.get_by_role("button", name="Cancel").click()
    assert titles(page) == kept
    page.click("#forget")
    settled(page, lambda: page.click("#forget-all"))
    expect(page.locator("#said")).to_contain_text("Everything is forgotten")
    assert page.locator(".chips li").count() == 0
    page.reload()
    page.wait_for_selector("section[aria-busy=false] .list li")
    assert page.locator(".chips li").count() == 0
    assert page.inner_text("#list-title") == "To begin with"
    stored = "indexedDB.databases().then(all => all.map(each => each.name))"
    assert page.evaluate(stored) == ["shortlist /"]
    assert page.evaluate(KEPT) == [0, 0]
    watched.context.close()
    site.start()
    assert [text for text in watched.wrong if not offline_noise(text)] == []


INSTALLED = """async () => {
  const registration = await navigator.serviceWorker.getRegistration();
  while (registration.installing) await new Promise((later) => setTimeout(later, 20));
}"""
KEPT = """() => new Promise((resolve) => {
  const opening = indexedDB.open("shortlist /");
  opening.onsuccess = async () => {
    const count = (name) => new Promise((done) => {
      const asked = opening.result.transaction(name).objectStore(name).count();
      asked.onsuccess = () => done(asked.result);
    });
    resolve([await count("judgements"), await count("settings")]);
  };
})"""


def test_a_new_export_arrives_as_what_changed_and_is_used_when_the_person_says_so(
    browser: Any, app_folder: Path, tmp_path: Path
):
    served = Site(shutil.copytree(app_folder, tmp_path / "served"))
    newer = save_app(cinema(seed=2), tmp_path / "newer")
    watched = Watched(browser, served.address, viewport=PHONE)
    page = watched.page
    open_app(page, served.address)
    installed(page)
    old = titles(page)
    served.folder = newer
    (newer / "model" / "manifest.json").rename(tmp_path / "aside")
    served.asked.clear()
    update = (
        "navigator.serviceWorker.getRegistration().then(r => r.update()).then(() => 'done', () => 'refused')"
    )
    page.evaluate(update)
    page.evaluate(INSTALLED)
    page.reload()
    page.wait_for_selector("section[aria-busy=false] .list li")
    assert titles(page) == old  # half of a new export is none
    (tmp_path / "aside").rename(newer / "model" / "manifest.json")
    page.evaluate(update)
    expect(page.locator("#update")).to_be_visible()
    changed = {each for each in served.asked if each != "sw.js"}
    assert "model/manifest.json" in changed
    assert not [each for each in changed if not each.startswith("model/")]
    with page.expect_navigation():
        page.click("#use")
    page.wait_for_selector("section[aria-busy=false] .list li")
    assert titles(page) != old
    expect(page.locator("#update")).to_be_hidden()
    watched.context.close()
    served.stop()
    assert [
        text for text in watched.wrong if "404" not in text and "not the file of this release" not in text
    ] == []


THREADS = """async () => {
  // The app's own runtime has started already, so this is another.
  const { startRuntime, Model } = await import("./device/runtime.js?threads");
  const ort = await startRuntime({ module: "ort/ort.wasm.bundle.min.js?threads", threads: 2 });
  const manifest = await (await fetch("model/manifest.json")).json();
  const bytes = await (await fetch(`model/${manifest.files["query.onnx"].path}`)).arrayBuffer();
  const model = await Model.open(ort, "query.onnx", new Uint8Array(bytes)), dim = manifest.tables.vectors.dim;
  const history = { name: "history", data: new Float32Array(dim).fill(1), dims: [1, 1, dim] };
  const mask = { name: "history_mask", data: Float32Array.of(1), dims: [1, 1] };
  return [crossOriginIsolated, ort.env.wasm.numThreads, (await model.run([history, mask]))[0].length];
}"""


def test_threads_compute_from_the_second_visit_on(page: Any, site: Site):
    open_app(page, site.address)
    installed(page)
    assert not page.evaluate("crossOriginIsolated")
    page.reload()
    page.wait_for_selector("section[aria-busy=false] .list li")
    assert page.evaluate(THREADS) == [True, 2, 16]


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda file: damage(file), "is damaged: its checksum differs"),
        (lambda file: file.write_bytes(file.read_bytes()[:-7]), "bytes"),
        (lambda file: file.unlink(), "is missing: the server answers 404"),
    ],
    ids=["damaged", "short", "missing"],
)
def test_a_damaged_export_is_refused(
    browser: Any, app_folder: Path, tmp_path: Path, spoil: Any, message: str
):
    folder = shutil.copytree(app_folder, tmp_path / "app")
    spoil(max((folder / "model" / "files").iterdir(), key=lambda file: file.stat().st_size))
    served = Site(folder)
    watched = Watched(browser, served.address, viewport=PHONE)
    watched.page.goto(served.address)
    refused = watched.page.locator("#list [role=alert]")
    expect(refused).to_contain_text(message)
    expect(refused).to_contain_text("export the bundle again")
    watched.context.close()
    served.stop()


def test_another_tab_follows(page: Any, site: Site):
    open_app(page, site.address)
    other = page.context.new_page()
    open_app(other, site.address)
    liked = pick(page, "harbour")
    expect(other.locator(".chips li span")).to_have_text(liked)
    assert titles(other) == titles(page)


def test_an_item_is_looked_at_and_what_resembles_it(page: Any, site: Site):
    open_app(page, site.address)
    title = titles(page)[2]
    page.locator("#list .link").nth(2).click()
    assert page.inner_text("#item-title") == title
    assert page.locator(".near .link").count() == 8
    page.locator(".near .link").first.click()
    expect(page.locator("#item-title")).not_to_have_text(title)
    settled(page, lambda: page.locator("#item .actions button").first.click())
    assert page.locator(".chips li").count() == 1


def test_everything_is_reached_by_the_keyboard_alone(page: Any, site: Site):
    open_app(page, site.address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    tab_to(page, "#pick")
    page.keyboard.type("lantern")
    page.keyboard.press("ArrowDown")
    chosen = page.locator("#pick-list [aria-selected=true] span").inner_text()
    settled(page, lambda: page.keyboard.press("Enter"))
    assert page.inner_text(".chips li span") == chosen
    tab_to(page, "#diversity")
    settled(page, lambda: page.keyboard.press("End"))
    tab_to(page, "#list .judge button")
    settled(page, lambda: page.keyboard.press("Enter"))
    assert page.evaluate("document.activeElement.matches('#list .judge button')")
    tab_to(page, "#list .link")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "item-title"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.matches('#list .link')")


@pytest.mark.parametrize(("width", "view"), [("phone", PHONE), ("desk", DESK)], ids=["phone", "desk"])
def test_text_stands_out_and_nobody_is_shut_out(browser: Any, site: Site, width: str, view: dict[str, int]):
    watched = Watched(browser, site.address, viewport=view)
    page = watched.page
    open_app(page, site.address)
    pick(page, "velvet")
    pick(page, "copper")
    settled(page, lambda: page.locator("#list .judge button").nth(1).click())
    page.evaluate("document.querySelector('#said').replaceChildren()")
    assert page.evaluate("document.documentElement.scrollWidth") == view["width"]
    check_picture(page, f"app-{width}")
    page.locator("#list .link").first.click()
    check_picture(page, f"app-item-{width}")
    page.keyboard.press("Escape")
    page.click("#forget")
    check_picture(page, f"app-forget-{width}")
    watched.context.close()
    assert watched.wrong == []


def test_what_items_are_called_is_text_and_never_a_page(browser: Any, tmp_path: Path):
    case = cinema()
    case.columns["title"][:] = ["<img src=x onerror=alert(1)><b>Bold</b>"] * len(case.ids)
    served = Site(save_app(case, tmp_path))
    watched = Watched(browser, served.address)
    open_app(watched.page, served.address)
    assert titles(watched.page)[0].startswith("<img")
    assert watched.page.locator("#list img, #list b").count() == 0
    watched.context.close()
    served.stop()
    assert watched.wrong == []
