"""The page as people meet it: in a browser, by mouse, touch and keyboard, in light, dark, small and on paper."""

import csv
import json
import re
import shutil

import finished_run
import pytest

from report.pages import hostile_study, large_study
from softlabels import io
from softlabels.report.page import write
from softlabels.studies.ledger_view import MAIN


@pytest.fixture(scope="module")
def results(tmp_path_factory, no_foreign_modules):
    """A finished study with a card, t-SNE and figures of all kinds."""
    config = json.loads(json.dumps(finished_run.CONFIG))
    config["studies"]["small"]["figures"] = ["embedding", "curves", "risk_coverage"]
    root = finished_run.build(tmp_path_factory.mktemp("page") / "results", config, ("card", "embed", "figure"))
    write(root)
    return root


@pytest.fixture(scope="module")
def page(results):
    return results / "report/index.html"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, no_foreign_modules):
    """A page of data whose names try all they can."""
    return write(hostile_study(tmp_path_factory.mktemp("hostile") / "results"))


def ready(view):
    """Wait for the maps."""
    view.page.locator(".map").scroll_into_view_if_needed()
    view.page.wait_for_selector(".map[data-ready]", timeout=60_000)
    return view


def at(view, row, side=0):
    """Where the point of an item (its row) is on the screen, on a map."""
    view.page.locator(".plot").nth(side).scroll_into_view_if_needed()
    return view.page.evaluate(
        """([row, side]) => {
          const plot = [...Bokeh.index.roots][side];
          const data = Bokeh.documents[0].get_model_by_name('points-data').data;
          const box = plot.el.getBoundingClientRect();
          const glyph = plot.model.renderers.find((one) => one.name === 'points').glyph;
          return [box.x + plot.frame.x_scale.compute(data[glyph.x.field][row]),
                  box.y + plot.frame.y_scale.compute(data[glyph.y.field][row])];
        }""",
        [row, side],
    )


def hover(view, row, side=0):
    """Move over the point of an item (its row) on a map; the item that is shown."""
    x, y = at(view, row, side)
    view.page.mouse.move(x - 40, y - 40)
    view.page.mouse.move(x, y, steps=4)
    view.page.wait_for_selector(".looked[data-item]")
    return view.page.locator(".looked").get_attribute("data-item")


def rings(view):
    """Where the rings are drawn, by the maps' data."""
    return view.page.evaluate("Bokeh.documents[0].get_model_by_name('rings-data').data")


def test_nothing_goes_wrong_and_nothing_is_asked_for(opened, page):
    view = ready(opened(page))
    view.page.locator(".items summary").click()
    view.page.wait_for_selector(".items[data-ready]")
    hover(view, 0)
    assert view.wrong == []


def test_a_script_that_is_not_the_pages_own_does_not_run(opened, page, tmp_path):
    text = page.read_text("utf-8")
    changed = tmp_path / "index.html"
    changed.write_text(text.replace("</body>", "<script>window.ran = 1</script></body>"), "utf-8")
    view = opened(changed)
    assert view.page.evaluate("window.ran") is None
    assert any("Content Security Policy" in told or "Content-Security-Policy" in told for told in view.wrong)


def test_the_numbers_are_those_of_the_table(opened, page, results):
    with (results / "studies/small/table.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "measured" and row["metric"] in MAIN]
    text = opened(page).page.locator(".tables table").first.inner_text()
    assert rows
    for row in rows:
        if row["metric"] != "kl_dcic":  # is shown where a row of the paper stands
            assert f"{float(row['mean']):.4f} ± {float(row['std']):.4f}" in text


def test_a_number_opens_where_it_comes_from(opened, page, results):
    view = opened(page)
    number = view.page.locator("button[data-cell]").first
    printed = number.inner_text().partition(" ")[0]
    number.click()
    dialog = view.page.locator("dialog[open]")
    dialog.wait_for()
    assert printed in dialog.inner_text()
    run = dialog.locator("details summary", has_text=re.compile("^run ")).first
    run.click()
    assert "runs/shapes/random/quick" in dialog.inner_text() or "evaluation" in dialog.inner_text()
    for name in ("evaluation", "predictions", "checkpoint"):  # down to the votes
        dialog.locator("details[open] details > summary", has_text=re.compile(f"^{name}$")).first.click()
    dialog.locator("details[open] details > summary", has_text=re.compile("^images$")).first.click()
    manifest = json.loads((results / "data/shapes/images.manifest.json").read_text())
    dialog.get_by_text(manifest["outputs"]["images"]["sha256"]).first.wait_for()
    view.page.keyboard.press("Escape")
    assert not view.page.locator("dialog[open]").count()


def test_a_number_opens_by_the_keyboard_and_gives_the_focus_back(opened, page):
    view = opened(page)
    number = view.page.locator("button[data-cell]").first
    number.focus()
    view.page.keyboard.press("Enter")
    view.page.locator("dialog[open]").wait_for()
    view.page.keyboard.press("Escape")
    assert number.evaluate("one => one === document.activeElement")


def test_a_point_shows_its_image_and_both_predictions_in_both_maps(opened, page, results):
    view = ready(opened(page))
    test = sorted(
        io.read_table(results / "studies/small/tsne/shapes-random-quick-hard-seed0.parquet")[0]["item"].to_pylist()
    )
    item = hover(view, 5, side=1)
    assert int(item) == test[5]
    shown = view.page.locator(".looked")
    assert shown.locator(".thumb").count() == 1
    assert (
        shown.locator(".thumb").evaluate("one => getComputedStyle(one).backgroundImage").startswith('url("data:image')
    )
    items = io.read_table(results / "data/shapes/items.parquet")[0]
    assert items["name"].to_pylist()[int(item)] in shown.inner_text()
    assert {"network of hard labels", "network of soft labels"} <= {
        *re.findall("network of \\w+ labels", shown.inner_text())
    }
    ring = rings(view)
    for k, label in enumerate(("hard", "soft")):  # the ring of each map is around the item's own point
        table = io.read_table(results / f"studies/small/tsne/shapes-random-quick-{label}-seed0.parquet")[0]
        row = table["item"].to_pylist().index(int(item))
        assert list(ring[f"x{k}"]) == pytest.approx([table["x"][row].as_py()])
        assert list(ring[f"y{k}"]) == pytest.approx([table["y"][row].as_py()])


def test_a_tap_shows_an_image_on_a_phone(opened, page):
    view = ready(opened(page, width=390, height=800, has_touch=True, is_mobile=True))
    view.page.touchscreen.tap(*at(view, 3))
    view.page.wait_for_selector(".looked .thumb")
    first = view.page.locator(".looked").get_attribute("data-item")
    view.page.touchscreen.tap(*at(view, 9, side=1))
    view.page.wait_for_function(f"document.querySelector('.looked').dataset.item !== '{first}'")


def test_items_are_sorted_and_searched(opened, page, results):
    view = opened(page)
    view.page.locator(".items summary").click()
    view.page.wait_for_selector(".items[data-ready]")
    rows = view.page.locator(".items tbody tr")
    view.page.locator(".items th", has_text="soft: KL").click()
    view.page.wait_for_selector(".items th[aria-sort=ascending]")
    first = [float(text) for text in rows.locator("td:nth-last-child(2)").all_inner_texts()]
    assert first == sorted(first)
    with (results / "studies/small/items.csv").open() as file:
        least = min(float(row["kl_soft"]) for row in csv.DictReader(file) if row["seed"] == "0")
    assert first[0] == pytest.approx(least, abs=5e-4)
    name = rows.first.locator("td").nth(1).inner_text()
    view.page.locator(".items input[type=search]").fill(name)
    view.page.wait_for_function("document.querySelectorAll('.items tbody tr').length === 1")
    assert name in rows.first.inner_text()


def test_the_other_label_and_colours_of_positions_can_be_chosen(opened, page):
    view = ready(opened(page))
    view.page.locator("select[data-side='0']").select_option("1")
    view.page.locator("select[data-colour]").select_option("shape")
    fields = view.page.evaluate("""() => {
      const plot = Bokeh.documents[0].roots()[0];
      const glyph = plot.renderers.find((one) => one.name === 'points').glyph;
      return [glyph.x.field, glyph.fill_color.field];
    }""")
    assert fields == ["x1", "shape"]
    hover(view, 4)  # on the first map, where the second label's points are now
    view.page.mouse.click(*at(view, 4))  # a choice paints no point in the other label's place
    painted = view.page.evaluate("""() => [...Bokeh.index.roots][0].model.renderers
        .flatMap((one) => [one.nonselection_glyph, one.selection_glyph])""")
    assert painted == [None] * 4


def test_a_lost_map_is_told_and_the_other_keeps_its_own_label(opened, results, tmp_path):
    root = shutil.copytree(results, tmp_path / "results")
    (root / "studies/small/tsne/shapes-random-quick-hard-seed0.parquet").unlink()
    view = ready(opened(write(root)))
    hover(view, 2)
    assert "network of soft labels" in view.page.locator(".looked").inner_text()
    assert "network of hard labels" not in view.page.locator(".looked").inner_text()
    assert view.page.get_by_text("There is no t-SNE of hard.").count() == 1


@pytest.mark.parametrize("options", [
    {"width": 1200}, {"width": 390}, {"width": 1200, "color_scheme": "dark"}, {"width": 390, "color_scheme": "dark"},
], ids=["light", "phone", "dark", "dark phone"])  # fmt: skip
def test_axe_finds_nothing_serious(opened, page, options):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    view = ready(opened(page, **options, bypass_csp=True))  # axe is a script from outside
    view.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    view.page.wait_for_selector(".items[data-ready]")
    found = axe.run(view.page).response["violations"]
    serious = [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")]
    assert serious == []


@pytest.mark.parametrize("width", [390, 800, 1200])
def test_nothing_scrolls_sideways(opened, page, hostile, width):
    for path in (page, hostile):
        view = opened(path, width=width)
        view.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert view.page.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_is_dark(opened, page):
    view = opened(page, color_scheme="dark")
    background = view.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", background)[:3])) < 150


def test_it_prints(opened, page, tmp_path):
    view = opened(page)
    content = view.page.pdf()
    assert content.startswith(b"%PDF")
    view.page.emulate_media(media="print")
    assert not view.page.locator(".map").first.is_visible()
    assert view.page.locator(".tables table").first.is_visible()


def test_without_scripts_tables_figures_and_images_stand(opened, page):
    view = opened(page, java_script_enabled=False)
    assert view.page.locator(".tables table").count() >= 2
    assert view.page.locator(".gallery article").count() > 0
    assert view.page.locator("figure img").count() > 0
    assert not view.page.locator(".map").first.is_visible()


def test_hostile_names_are_text(opened, hostile):
    view = opened(hostile)
    view.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    view.page.wait_for_selector(".items[data-ready]")
    view.page.locator("button[data-cell]").first.click()
    view.page.locator("dialog[open]").wait_for()
    assert view.wrong == []
    assert view.page.evaluate("window.hacked") is None
    assert view.page.locator("img[src='x']").count() == 0
    assert view.page.locator(".gallery", has_text="<img src=x").count() == 1  # which is shown as it is written


@pytest.mark.parametrize(("items", "pixels"), [(10_000, 96), (60_000, 8)])
def test_a_large_study_is_a_page_of_at_most_25_mb(opened, small, tmp_path, items, pixels):
    page = write(large_study(small, tmp_path / "results", items=items, pixels=pixels))
    assert page.stat().st_size < 25e6
    view = ready(opened(page))
    assert ("sheet-0-0" in page.read_text("utf-8")) == (items == 10_000)  # of more there are no pictures
    assert view.page.evaluate("Bokeh.documents[0].get_model_by_name('points-data').data.x0.length") == items
    assert view.wrong == []
