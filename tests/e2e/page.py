"""Opens a report page at desktop and phone width, light and dark: nothing fails to load or sticks out,
and all parts are there. Usage: page.py PAGE RUNS [FOLDER-FOR-PICTURES]"""
import sys

from browser import Browser

page, runs = sys.argv[1], int(sys.argv[2])
folder = sys.argv[3] if len(sys.argv) > 3 else None

# Elements wider than the window, unless they scroll in a box of their own.
STICKING_OUT = """[...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll, pre, svg') &&
    (e.getBoundingClientRect().right > innerWidth + 1 || e.getBoundingClientRect().left < -1))
    .map(e => e.tagName + '.' + e.className)"""
# Chart texts that lie on each other or outside of their drawing.
COLLIDING = """[...document.querySelectorAll('svg.chart')].flatMap(svg => {
    const box = svg.getBoundingClientRect(), texts = [...svg.querySelectorAll('text')];
    const rects = texts.map(t => t.getBoundingClientRect());
    return texts.filter((t, i) => rects[i].left < box.left - 1 || rects[i].right > box.right + 1 ||
        rects.some((r, k) => k > i && r.left < rects[i].right - 1 && r.right > rects[i].left + 1 &&
            r.top < rects[i].bottom - 2 && r.bottom > rects[i].top + 2)).map(t => t.textContent)})"""
LUMINANCE = """(() => { const of = s => { const c = getComputedStyle(document.querySelector(s));
    return [c.color, c.backgroundColor].map(v => v.match(/[0-9.]+/g).slice(0, 3).reduce((a, b) => a + +b, 0)) };
    return of('body') })()"""

browser = Browser()
try:
    for width, height in ((1280, 900), (390, 844)):
        for dark in (False, True):
            browser.open(page, width, height, dark)
            where = f"{width} px, {'dark' if dark else 'light'}"
            assert browser.faults() == [], (where, browser.faults())
            assert len(browser.requests()) == 1, (where, browser.requests())
            assert browser.ask("document.documentElement.scrollWidth") <= width, where
            assert browser.ask(STICKING_OUT) == [], (where, browser.ask(STICKING_OUT))
            assert browser.ask(COLLIDING) == [], (where, browser.ask(COLLIDING))
            assert browser.ask("[...document.images].every(i => i.complete && i.naturalWidth > 0)"), where
            assert browser.ask("document.querySelectorAll('svg.chart').length") == 3, where
            assert browser.ask("document.querySelectorAll('svg.chart .line').length") == 5 * runs, where
            assert browser.ask("document.querySelectorAll('.key').length") == 5 * runs, where
            assert browser.ask("document.querySelectorAll('h2').length") == runs, where
            assert browser.ask("document.querySelectorAll('.confusion, .heat').length") == runs, where
            for part in ("Confusion, images", "Worst classes, % right", "Most frequent mistakes",
                         "Most confident mistakes"):
                parts = f"[...document.querySelectorAll('section h3')].filter(h => h.textContent == '{part}').length"
                assert browser.ask(parts) == runs, (where, part)
            titles = "[...document.querySelectorAll('h3')].map(h => h.textContent)"
            assert any("rate" in title.lower() for title in browser.ask(titles)), where
            assert browser.ask("document.querySelectorAll('.mistakes img').length") >= runs, where
            assert browser.ask("document.querySelectorAll('.split span').length") >= 4 * runs, where
            ink, paper = browser.ask(LUMINANCE)
            assert (ink > paper + 300) if dark else (paper > ink + 300), (where, ink, paper)
            if folder:
                browser.picture(f"{folder}/page-{width}-{'dark' if dark else 'light'}.png")
finally:
    browser.close()
print("page: all as wanted")
