"""The demo app's screens, as far as its resources tell: no machine here draws them."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

RES = Path(__file__).parents[1] / "android_demo/app/src/main/res"
ANDROID = "{http://schemas.android.com/apk/res/android}"
LAYOUTS = sorted(RES.glob("layout*/*.xml"))
SCREENS = [path for path in LAYOUTS if path.stem in {"main", "measured"}]
# What WCAG 2.2 asks of text (1.4.3) and of what has to be told apart (1.4.11).
OF_TEXT, OF_GRAPHICS = 4.5, 3.0
TEXTS = [
    *(("text", behind) for behind in ("background", "card", "accent_soft")),
    *(("text_secondary", behind) for behind in ("background", "card", "accent_soft")),
    ("on_accent", "accent"),
    ("accent", "accent_soft"),
]
GRAPHICS = [("accent", "track"), ("bar_other", "track"), ("accent", "card")]


def colors(folder):
    text = (RES / folder / "colors.xml").read_text()
    return dict(re.findall(r'name="(\w+)">(#[0-9A-F]{6})<', text))


def luminance(color):
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def elements():
    return ((path, element) for path in LAYOUTS for element in ElementTree.parse(path).iter())


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("folder", ["values", "values-night"])
def test_everything_can_be_told_from_what_is_behind(folder):
    own = colors(folder)
    for front, behind in TEXTS:
        assert contrast(own[front], own[behind]) >= OF_TEXT, (front, behind)
    for front, behind in GRAPHICS:
        assert contrast(own[front], own[behind]) >= OF_GRAPHICS, (front, behind)


def test_the_dark_theme_has_every_color_and_no_color_is_idle():
    used = "".join(path.read_text() for path in RES.rglob("*.xml"))
    used += "".join(path.read_text() for path in RES.parent.rglob("*.kt"))
    assert colors("values").keys() - colors("values-night").keys() == {"launcher_background"}
    for name in colors("values"):
        assert re.search(rf"@color/{name}\b|R\.color\.{name}\b", used), name


@pytest.mark.parametrize("path", SCREENS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_screen_keeps_clear_of_the_systems_bars_and_scrolls(path):
    """From target SDK 35 on the window lies behind them. `fitsSystemWindows` replaces its view's padding."""
    screen = ElementTree.parse(path).getroot()
    assert screen.tag == "ScrollView"  # with large letters, or on its side
    assert screen.get(f"{ANDROID}fitsSystemWindows") == "true"
    assert not any("padding" in name for name in screen.attrib)
    manifest = (RES.parent / "AndroidManifest.xml").read_text()
    assert 'windowSoftInputMode="adjustResize"' in manifest  # else the keyboard lies over it


@pytest.mark.parametrize("folder", ["values", "values-v27", "values-night"])
def test_the_systems_buttons_are_seen(folder):
    """Light bars have dark signs; those of the navigation bar only from API 27 on."""
    theme = ElementTree.parse(RES / folder / "themes.xml").getroot()
    items = {item.get("name"): item.text for item in theme.iter("item")}
    own = colors("values-night" if folder == "values-night" else "values")
    for name in ("Status", "Navigation"):
        color = items.get(f"android:{name.lower()}BarColor", "black")
        dark_signs = items.get(f"android:windowLight{name}Bar") == "true"
        behind = own[color.removeprefix("@color/")] if color != "black" else "#000000"
        assert contrast("#000000" if dark_signs else "#FFFFFF", behind) >= OF_GRAPHICS, (folder, name)


def test_what_is_touched_is_large_enough():
    styles = (RES / "values/styles.xml").read_text()
    assert re.search(r'name="touch">48dp<', styles)
    action = styles[styles.index('<style name="Action"') :]
    assert 'android:minHeight">@dimen/touch<' in action[: action.index("</style>")]
    for path, element in elements():
        if element.get(f"{ANDROID}clickable") == "true":
            assert element.get(f"{ANDROID}minHeight") == "@dimen/touch", path
        if element.tag == "Button":
            assert element.get("style", "").startswith("@style/Action"), path


def test_letters_grow_with_the_users_setting_and_nothing_has_a_side():
    styles = ElementTree.parse(RES / "values/styles.xml").getroot()
    sizes = [item.text for item in styles.iter("item") if item.get("name") == "android:textSize"]
    for path, name, value in (
        (path, name.removeprefix(ANDROID), value)
        for path, element in elements()
        for name, value in element.items()
    ):
        if name == "textSize":
            sizes.append(value)
        assert not re.search(r"(Left|Right)$", name), (path, name)
        assert not (name in {"gravity", "layout_gravity"} and re.search("left|right", value)), (path, value)
        assert name not in {"lines", "singleLine", "ellipsize"}, path
    assert len(sizes) >= 4
    assert all(size.endswith("sp") for size in sizes)


def test_a_bar_is_one_thing_for_a_screen_reader():
    row = ElementTree.parse(RES / "layout/row_label.xml").getroot()
    assert row.get(f"{ANDROID}screenReaderFocusable") == "true"
    silent = {child.get(f"{ANDROID}importantForAccessibility") for child in row}
    assert silent == {"noHideDescendants", "no"}
    assert "row.contentDescription" in next(RES.parent.rglob("ResultCard.kt")).read_text()
