#!/usr/bin/env python3
"""page.py: the page that the daemon serves, in a real browser, with the real binary.

  tests/page.py [PART…] [--agents 0,5,1000,10000] [--shots DIR] [--meshd FILE] [--keep]

  sizes     it loads with each number of agents, in both schemes, at 360 and 1280 px: nothing sticks out, all text is
            readable, only the rows that are seen are there; with --shots it is photographed
  edits     what changes on disk shows by itself: an edit, a new agent, a deleted one, 300 at once
  restart   the daemon is killed and started again, and once more with an empty registry: the page goes on, with the
            same session and without being loaded anew
  stream    the event stream is read the same however the network breaks it
  session   without one it says what to do; a code works once; a token that is not known any more is dropped; a second link
            followed in the same tab tells nothing twice
  silent    a daemon that hangs, or refuses to answer, is not called live, and the page says why; so does a new one
  tabs      more tabs than a browser has connections for: whichever one looks at is live and true
  wrong     a root that is not as it should be, and a relay that fails, are in the banner with what to do, and go from it;
            the age of an agent says since when it is what it is
  hostile   names with markup, scripts and characters that reorder text: they are shown, and nothing else happens
  keys      everything is done without a mouse
  mouse     and with one

In each, nothing is asked of another host, the console stays empty, and the content security policy refuses nothing.
Needs Chromium (Debian's `chromium`). Times are told and not asserted. Exit status: 0 all hold, 1 not.
"""
import argparse
import json
import os
import shutil
import socket
import sqlite3
import sys
import unicodedata
from contextlib import closing, contextmanager

from browser import Browser
from live import TOP, Failed, Meshd, run_parts, until
from show import load, make_tree, manifest_of, new_manifest, save, told, write

WIDTHS = {1280: 800, 360: 740}
SCHEMES = ("light", "dark")

# More rows than fit on any screen, and far fewer than there are agents.
MOST_ROWS = 120

# Expressions in the page.
LOADED = "$('#connection')?.dataset.state === 'live' && !$('#main').hidden"
CUT_OFF = "$('#connection').dataset.state === 'reconnecting'"
AT_THE_DOOR = "$('#door')?.hidden === false && $('#main').hidden"
TOTAL = "Number($('#grid').getAttribute('aria-rowcount')) - 1"
OPENED = "$('#story')?.open"
CLOSED = "$('#story')?.open === false"
CHOSEN = "$('.row[aria-selected=true] > .name')?.textContent"
FOCUSED = "document.activeElement.id"
REFUSED = "$('#connection')?.dataset.state === 'refused'"
BANNER = "$('#banner').innerText"
EVENTS = "$$('#event-list li:not(.none)').length"

# Text must stand out from what it lies on by 4.5 to 1 (WCAG 2.1, 1.4.3).
PALE = """
(() => {
  const numbers = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([red, green, blue]) => [red, green, blue].map((part) => part / 255)
    .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const isSeen = (element) => !element.closest("option, canvas, noscript")
    && element.checkVisibility({ visibilityProperty: true });
  const pale = [];
  const walker = document.createTreeWalker($("dialog[open]") ?? document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.data.trim() === "" || !isSeen(element)) continue;
    const both = [numbers(getComputedStyle(element).color), behind(element)].map(light).sort((one, other) => other - one);
    const ratio = (both[0] + 0.05) / (both[1] + 0.05);
    if (ratio < 4.5) pale.push(`${ratio.toFixed(2)} ${node.data.trim().slice(0, 40)}`);
  }
  return pale;
})()
"""

# What reaches beyond the window. What scrolls inside itself or is cut off on purpose does not.
WIDE = """
(() => {
  const width = document.documentElement.clientWidth;
  const whole = document.documentElement.scrollWidth;
  if (whole > width) return [`the page is ${whole} px wide`];
  const right = (element) => element.getBoundingClientRect().right;
  const isClipped = (element) => {
    for (let at = element.parentElement; at !== null; at = at.parentElement) {
      if (getComputedStyle(at).overflowX !== "visible" && right(at) <= width + 0.5) return true;
    }
    return false;
  };
  return $$("body *")
    .filter((element) => element.checkVisibility() && right(element) > width + 0.5 && !isClipped(element))
    .map((element) => `${element.tagName} ${element.id} ${element.className}`);
})()
"""

# Counts of which not all can be read.
CUT = "$$('.chip > *').filter((part) => part.scrollWidth > part.clientWidth + 1).map((part) => part.textContent)"


def shows(name):
    """A row that is in sight has this name."""
    return f"$$('.row:not([hidden]) > .name').some((cell) => cell.textContent === {json.dumps(name)})"


def tells(title):
    """The story of an agent of this name is open."""
    return f"{OPENED} && $('#story-title').textContent === {json.dumps(title)} && $('#story-body dl') !== null"


def looks_at(view):
    """This view is what one sees."""
    return f"{CLOSED} && $('#main').dataset.view === '{view}'"


# -- a daemon and a page ---------------------------------------------------------
def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Watched:
    """A daemon that serves its page, and the tab that shows it."""

    def __init__(self, args, home, agents):
        self.tree = os.path.join(home, "tree")
        os.makedirs(self.tree)
        self.projects = make_tree(self.tree, agents) if agents > 0 else []
        self.origin = f"http://127.0.0.1:{free_port()}"
        self.meshd = Meshd(args.meshd, [self.tree], home, "--http", self.origin.removeprefix("http://"))
        self.browser, self.shots = None, args.shots
        try:
            self.meshd.start().ready()
            self.browser = Browser(home)
            self.page = self.browser.page()
        except BaseException:
            self.close()
            raise

    def link(self):
        """What `meshd open` prints."""
        done = self.meshd.command("open")
        link = done.stdout.decode("utf-8", "replace").strip()
        if done.returncode != 0 or not link.startswith(f"{self.origin}/#code="):
            raise Failed(f"meshd open ended with {done.returncode} and said {link or done.stderr!r}")
        return link

    def enter(self):
        """Opens the page by a link, and returns the seconds until it shows everything."""
        self.page.size(1280, WIDTHS[1280])
        self.page.go(self.link())
        return self.page.until("the page is live", LOADED)

    def search(self, text):
        """Searches by keyboard, for exactly this."""
        self.page.ask("$('#search').value = ''; document.activeElement?.blur()")
        self.page.press("/")
        self.page.until("the search has the keys", "document.activeElement === $('#search')")
        self.page.type(text)

    def photograph(self, name):
        if self.shots:
            os.makedirs(self.shots, exist_ok=True)
            self.page.shot(os.path.join(self.shots, f"{name}.png"))

    def calm(self, *but):
        """Nothing was asked of others, refused, said in the console or popped up; `but` are words that may be said."""
        said = [words for words in self.page.complaints if not any(part in words for part in but)]
        bad = {"asked of others": [url for url in self.page.requests if not url.startswith((self.origin + "/", "data:"))],
               "in the console": said, "refused by the policy": self.page.ask("window.refusals"),
               "popped up": self.page.dialogs}
        for what, found in bad.items():
            if found:
                raise Failed(f"{what}: {found[:5]}")

    def close(self):
        if self.browser is not None:
            self.browser.close()
        self.meshd.close()


@contextmanager
def watched(args, home, agents):
    one = Watched(args, home, agents)
    try:
        yield one
        one.meshd.sound()
        one.meshd.stop()
    finally:
        one.close()


def expect(what, is_so):
    if not is_so:
        raise Failed(f"not so: {what}")


# -- sizes -----------------------------------------------------------------------
def sizes(args, home):
    for agents in args.agents:
        place = os.path.join(home, str(agents))
        os.mkdir(place)
        with watched(args, place, agents) as one:
            told(f"{agents:,} agents: from the link to everything shown", one.enter())
            expect(f"{agents} rows", one.page.ask(TOTAL) == agents)
            expect("only what is in sight is in the page", one.page.ask("$$('.row').length") < MOST_ROWS)
            if agents == 0:
                said = one.page.text("#empty")
                expect("it says how to begin", "meshd register" in said and "meshd discover" in said)
            else:
                to_the_end(one, agents)
            for width in WIDTHS:
                for scheme in SCHEMES:
                    look(one, agents, width, scheme)
            one.calm()


def to_the_end(one, agents):
    """The last row is there when one goes to it."""
    row = "document.getElementById($('#grid').getAttribute('aria-activedescendant'))?.getAttribute('aria-rowindex')"
    one.page.ask("$('#grid').focus()")
    one.page.press("End")
    one.page.until("the last row is chosen", f"{row} === '{agents + 1}'")
    one.page.press("Home")
    one.page.until("the first row is chosen", f"{row} === '2'")


def look(one, agents, width, scheme):
    """Every view, at a width and in a scheme."""
    one.page.size(width, WIDTHS[width])
    one.page.scheme(scheme)
    views = ["table", "map"] if width > 1000 else ["table", "map", "events", "problems", "daemon"]
    shown = {view: (f"#{view}", looks_at(view)) for view in views}
    if agents > 0:
        manifest = load(one.projects[0])
        shown["story"] = f"#agent={manifest['id']}", tells(manifest["name"])
    for view, (address, there) in shown.items():
        one.page.ask(f"location.hash = '{address}'")
        one.page.until(f"{view} is shown", there)
        one.page.ask("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(null))))")
        for what, script in (("sticks out", WIDE), ("is pale", PALE), ("is cut", CUT)):
            if found := one.page.ask(script):
                raise Failed(f"{view} at {width} px, {scheme}: {what}: {found[:5]}")
        one.photograph(f"{agents}-{view}-{width}-{scheme}")
    one.page.ask("history.back()")
    one.page.until("the story is closed", CLOSED)


# -- edits -----------------------------------------------------------------------
def edits(args, home):
    agents = max(*args.agents, 10)
    with watched(args, home, agents) as one:
        page = one.page
        one.enter()
        # In the middle of them all.
        project = one.projects[len(one.projects) // 2]
        manifest = load(project)
        one.search(manifest["id"])
        page.until("it is found", shows(manifest["name"]))
        times = []
        for number in range(5):
            name = f"edited-{number}"
            save(project, {**manifest, "name": name})
            times.append(page.until(f"{name} is in the page", shows(name)))
        told(f"{agents:,} agents: an edit, until the page shows it: best of 5", min(times))
        told("  longest of 5", max(times))

        page.ask(f"location.hash = '#agent={manifest['id']}'")
        page.until("the story is shown", tells(name))
        save(project, {**manifest, "name": "told-anew"})
        told("an edit, until an open story tells it", page.until("the story tells it", tells("told-anew")))
        page.press("Escape")
        # While it is open the keys are its own.
        page.until("the story is closed", f"!({OPENED})")

        one.search("01K0SHOW")
        fresh = new_manifest(7)
        write(os.path.join(one.tree, "fresh"), fresh)
        told("a new agent, until the page shows it", page.until("the new agent is there", shows(fresh["name"])))
        os.unlink(manifest_of(os.path.join(one.tree, "fresh")))
        told("a deleted manifest, until the page says so (0.5 s held back)", page.until(
            "it is unreachable", "$('.row:not([hidden]) > .status').innerText.includes('unreachable')"
            " && $('.row:not([hidden]) > .reason').innerText.includes('manifest gone')"))
        one.meshd.answer("unregister", fresh["id"])
        told("an agent that is unregistered, until it is gone", page.until("no row is left", "!$('#nothing').hidden"))

        one.search("all-at-once")
        several = one.projects[:300]
        for each in several:
            save(each, {**load(each), "name": "all-at-once"})
        told(f"{len(several)} edits at once, after the last until the page shows all",
             page.until("all are there", f"{TOTAL} === {len(several)}"))
        expect("the events are told", page.ask("$$('#event-list li:not(.none, [hidden])').length") > 0)
        one.calm()


# -- restart ---------------------------------------------------------------------
def restart(args, home):
    with watched(args, home, 20) as one:
        page, meshd = one.page, one.meshd
        one.enter()
        project = one.projects[3]
        manifest = load(project)
        token = page.ask("Object.values(sessionStorage).join()")
        page.ask("window.theSame = true")
        meshd.kill()
        page.until("it says that it is cut off", CUT_OFF)
        expect("what was known is still shown", page.ask(TOTAL) == 20)
        save(project, {**manifest, "name": "meanwhile"})
        meshd.start().ready()
        told("started again, until the page is live", page.until("the page is live again", LOADED))
        told("what changed meanwhile, until it shows", page.until("it shows", shows("meanwhile")))
        save(project, {**manifest, "name": "afterwards"})
        told("an edit after that", page.until("it shows", shows("afterwards")))

        # A registry that was lost and built anew counts its events from one again: the past is gone.
        meshd.kill()
        page.until("it says that it is cut off", CUT_OFF)
        for name in os.listdir(meshd.state_dir):
            if name.startswith("registry.db"):
                os.unlink(os.path.join(meshd.state_dir, name))
        shutil.rmtree(one.projects[0])
        meshd.start().ready()
        page.until("the page is live once more", LOADED)
        told("with a new registry, until the page has only what is there", page.until("19 are there", f"{TOTAL} === 19"))
        save(project, {**manifest, "name": "anew"})
        told("an edit after that", page.until("it shows", shows("anew")))
        expect("the page was not loaded anew", page.ask("window.theSame === true"))
        expect("the session is the same", page.ask("Object.values(sessionStorage).join()") == token)

        page.call("Page.reload")
        page.until("loaded anew it needs no new link", f"window.theSame === undefined && {LOADED}")
        # What the browser itself says of a daemon that is not there.
        one.calm("net::ERR_")


# -- stream ----------------------------------------------------------------------
# Text of a stream, and what it says. It must say the same wherever it is broken in three.
STREAM = (': hello\n\nid: 7\nevent: agent.synced\ndata: {"a":"\u00e9"}\n\n:\n\nevent: resync\nid: 9\n\n'
          "id:10\ndata:one\ndata: two\n\nid: 11\n")
SAYS = [{"id": "7", "name": "agent.synced", "data": '{"a":"\u00e9"}'}, {"id": "9", "name": "resync", "data": ""},
        {"id": "10", "name": "message", "data": "one\ntwo"}]

BREAK = """
import("/page/events.js").then(({ EventParser }) => {
  for (let first = 0; first <= text.length; first += 1) {
    for (let second = first; second <= text.length; second += 1) {
      const parser = new EventParser();
      const parts = [text.slice(0, first), text.slice(first, second), text.slice(second)];
      const found = JSON.stringify(parts.flatMap((part) => parser.push(part)));
      if (found !== says) return `${first}, ${second}: ${found}`;
    }
  }
  return "";
})
"""


def stream(args, home):
    with watched(args, home, 0) as one:
        one.enter()
        one.page.ask(f"window.text = {json.dumps(STREAM)}; window.says = JSON.stringify({json.dumps(SAYS)})")
        wrong = one.page.ask(BREAK)
        expect(f"broken at {wrong}", wrong == "")
        one.calm()


# -- session ---------------------------------------------------------------------
def session(args, home):
    with watched(args, home, 5) as one:
        page = one.page
        page.go(one.origin + "/")
        page.until("without a session it says so", AT_THE_DOOR)
        expect("it says what to run", "meshd open" in page.text("#door"))
        link = one.link()
        page.go(link)
        page.until("a link that is followed in the same tab begins one", LOADED)
        expect("the code is out of the address", "code" not in page.ask("location.href"))
        second = one.browser.page()
        second.go(link)
        second.until("a code works once", AT_THE_DOOR)
        expect("it says why", "used before" in second.text("#door-why"))

        page.ask("sessionStorage.setItem(Object.keys(sessionStorage)[0], 'of-another-daemon')")
        save(one.projects[0], {**load(one.projects[0]), "name": "seen-by-nobody"})
        page.until("a token that is not known ends the session", AT_THE_DOOR)
        expect("it is dropped", page.ask("sessionStorage.length") == 0)
        expect("nothing of before is left to see", page.ask("!$('#grid').checkVisibility()"))
        page.front()
        page.go(one.link())
        page.until("a new link begins a new one", LOADED)
        page.until("and it shows what is so now", shows("seen-by-nobody"))
        events = len(one.meshd.events())
        page.until("and all that led there", f"{EVENTS} === {events}")
        page.go(one.link())
        page.until("another link begins another one, and no event is told twice", f"{LOADED} && {EVENTS} === {events}")
        # What the browser itself says of a request that is refused.
        one.calm("401")


# -- silent ----------------------------------------------------------------------
@contextmanager
def of_tomorrow(file):
    """The registry, so that the daemon refuses to read it and has nothing to mend, and then as it was."""
    with closing(sqlite3.connect(file)) as registry:
        schema = registry.execute("PRAGMA user_version").fetchone()[0]
        registry.execute("PRAGMA user_version = 99")
        try:
            yield
        finally:
            registry.execute(f"PRAGMA user_version = {schema}")


def silent(args, home):
    with watched(args, home, 5) as one:
        page, meshd = one.page, one.meshd
        one.enter()
        meshd.pause()
        told("the daemon hangs, until the page says so", page.until("it is not live", f"!({LOADED})"))
        expect("what was known is still shown", page.ask(TOTAL) == 5)
        meshd.resume()
        told("it goes on, until the page is live", page.until("the page is live again", LOADED))

        with of_tomorrow(os.path.join(meshd.state_dir, "registry.db")):
            told("the daemon refuses, until the page says so", page.until("it says that it is refused", REFUSED))
            why = f"{BANNER}.includes('the registry cannot be read') && {BANNER}.includes('meshd doctor')"
            expect("and why", page.ask(why))
            one.photograph("refused-1280")
            second = one.browser.page()
            second.go(one.link())
            second.until("a new page says the same", f"{REFUSED} && {why}")
        page.front()
        told("it answers again, until the page is live", page.until("the page is live again", LOADED))
        page.until("nothing is wrong any more", "$('#banner').hidden")
        second.front()
        second.until("and so is the new one", LOADED)
        # What the browser itself says of requests that get no answer or are refused.
        one.calm("net::ERR_", "503")


# -- tabs ------------------------------------------------------------------------
# More than the six connections that a browser has to one address.
MANY_TABS = 8

# A tab that nobody looks at rests after half a minute; here after a second.
SOON = "const wait = setTimeout; window.setTimeout = (what, ms) => wait(what, ms === 30000 ? 1000 : ms);"


def tabs(args, home):
    with watched(args, home, 5) as one:
        name = shows(load(one.projects[0])["name"])
        tabs = [one.page, *(one.browser.page() for _ in range(MANY_TABS - 1))]
        for tab in tabs:
            tab.front()
            tab.before(SOON)
            tab.go(one.link())
            tab.until("each tab that is opened is live", f"{LOADED} && {name}")
        events = tabs[-1].ask(EVENTS)
        save(one.projects[0], {**load(one.projects[0]), "name": "edited"})
        for tab in reversed(tabs):
            tab.front()
            tab.until("each tab that is looked at is live and true", f"{LOADED} && {shows('edited')}")
            tab.until("and has the event that it missed, once", f"{EVENTS} === {events + 1}")
        one.calm("net::ERR_")


# -- wrong -----------------------------------------------------------------------
# What is told of a root of which a part is missing. Making such a root takes a mount.
DEGRADED = """
import("/page/daemon.js").then(({ showBanner }) => {
  const home = document.createElement("div");
  const root = { path: "/srv/agents", state: "degraded", why: "/srv/agents/drive is not mounted", remedy: "mount it" };
  showBanner(home, null, { ready: true, daemon: { degraded: [] }, roots: [root] });
  return home.textContent;
})
"""


def wrong(args, home):
    with watched(args, home, 5) as one:
        page, meshd = one.page, one.meshd
        one.enter()
        said = page.ask(DEGRADED)
        expect(f"a degraded root is told with what to do: {said}",
               said == "Scan root /srv/agents is degraded: /srv/agents/drive is not mounted. What to do: mount it")

        age = "$('.row:not([hidden]) > .age time')"
        expect("an age is since when it was seen", page.ask(f"{age}.title").startswith("last seen "))
        until("they are older than the outage", lambda: page.ask(f"parseInt({age}.textContent) >= 2"))
        os.rename(one.tree, one.tree + "-away")
        page.until("that a root is offline is told, with what to do",
                   f"{BANNER}.includes('is offline') && {BANNER}.includes('What to do: bring it back')")
        page.until("an age is since when it is unreachable", f"{age}.title.startsWith('unreachable since ')")
        one.photograph("offline-1280")
        os.rename(one.tree + "-away", one.tree)
        told("a root is back, until the banner is gone", page.until("nothing is wrong any more", "$('#banner').hidden"))

        relay = os.path.join(meshd.state_dir, "relay.db")
        for name in os.listdir(meshd.state_dir):
            if name.startswith("relay.db"):
                os.unlink(os.path.join(meshd.state_dir, name))
        os.mkdir(relay)
        write(os.path.join(one.tree, "fresh"), new_manifest(7))
        reasons = "$$('.row:not([hidden]) > .reason').map((cell) => cell.textContent)"
        page.until("that the relay fails is told",
                   f"{BANNER}.includes('The relay fails') && {reasons}.includes('relay pending')")
        os.rmdir(relay)
        meshd.command("reconcile")
        told("the relay is back, until the page has nothing pending",
             page.until("nothing is pending", f"$('#banner').hidden && !{reasons}.includes('relay pending')"))
        one.calm("net::ERR_")


# -- hostile ---------------------------------------------------------------------
# What is written, and how it must be shown where that is not the same.
HOSTILE = {
    "<script>window.ran=1</script>": None,
    "<img src=x onerror=window.ran=2>": None,
    "<svg/onload=window.ran=3>": None,
    "javascript:window.ran=4": None,
    "'\"><a href=javascript:window.ran=5>x</a>": None,
    "${window.ran=6}{{window.ran=6}}": None,
    "&lt;b&gt;&#60;": None,
    "__proto__": None,
    "\u05d0\u05d1\u05d2 \u2014 項目 ✓": None,
    "w" * 3000: None,
    "evil\u202egpj.exe": "evil\\u{202e}gpj.exe",
    "a\u0007b\u009bc\u200bd": "a\\u{7}b\\u{9b}c\\u{200b}d",
    "\u3164": "\\u{3164}",
    "\u00a0\u2003": "\\u{a0}\\u{2003}",
}


def hostile(args, home):
    with watched(args, home, 5) as one:
        page = one.page
        for number, name in enumerate(HOSTILE):
            write(os.path.join(one.tree, f"p{number} <b>&amp;"), new_manifest(
                number, name=name, displayName=name[:90], description=f"{name}\n{name}", capabilities=[name], model=name,
                icon="javascript:window.ran=7", color="red;background:url(http://example.invalid/)",
                namespace=f"of-{number}", persona="<script>window.ran=7</script>"))
        # A problem has a stranger's path in it, and what the parser says of a stranger's text.
        strange = os.path.join(one.tree, "<img src=x onerror=window.ran=8>\u202e")
        os.makedirs(os.path.join(strange, ".dork"))
        with open(manifest_of(strange), "w", encoding="utf-8") as file:
            file.write('{"id": <script>')
        shutil.copy(os.path.join(TOP, "fixtures", "manifests", "hostile-strings.json"), manifest_of(one.projects[0]))
        until("all of them are in the registry", lambda: strange in one.meshd.problems() and sum(
            agent["name"] in HOSTILE or "reader" in agent["name"] for agent in one.meshd.agents()) == len(HOSTILE) + 1)
        one.enter()
        page.until("all of them are in the page", f"{TOTAL} === {len(one.meshd.agents())}")

        for number, (name, escaped) in enumerate(HOSTILE.items()):
            shown = escaped or name
            one.search(new_manifest(number)["id"])
            page.until(f"{name[:40]!r} is shown as {shown[:40]!r}", shows(shown))
            page.press("Enter")
            page.press("Enter")
            page.until(f"the story of {name[:40]!r} is shown", "$('#story-body dl') !== null"
                       f" && $('#story-body').innerText.includes({json.dumps(shown[:80])})")
            page.press("Escape")
            page.until("it is closed", CLOSED)
        # What is searched for is text, too.
        one.search("<script>")
        page.press("Escape")
        for width in WIDTHS:
            page.size(width, WIDTHS[width])
            for view in ("map", "events", "problems", "table"):
                page.ask(f"location.hash = '#{view}'")
                page.until(f"{view} is shown", looks_at(view))
                if found := page.ask(WIDE):
                    raise Failed(f"{view} at {width} px sticks out: {found[:5]}")
                one.photograph(f"hostile-{view}-{width}")

        problem = page.ask("$('#problem-list').textContent")
        expect("the problem is told as it is", "<img src=x onerror=window.ran=8>\\u{202e}" in problem)
        expect("no script of a manifest ran", page.ask("window.ran") is None)
        made = "$$('img, b b, script:not([src]), [onload], [onerror], a[href^=javascript]').length"
        expect("no element was made of a manifest", page.ask(made) == 0)
        text = page.ask("document.body.textContent").replace("\n", "")
        acting = {character for character in text if unicodedata.category(character) in ("Cc", "Cf")}
        expect(f"no character that acts is in the page: {acting!r}", not acting)
        one.calm()


# -- keys ------------------------------------------------------------------------
def keys(args, home):
    with watched(args, home, 40) as one:
        page = one.page
        one.enter()
        reached = set()
        for _ in range(60):
            page.press("Tab")
            reached.add(page.ask(f"{FOCUSED} || document.activeElement.parentElement?.className"))
            outline = page.ask("getComputedStyle(document.activeElement).outlineStyle")
            at = page.ask("document.activeElement.outerHTML.slice(0, 120)")
            expect(f"one sees what has the keyboard: {at}", outline != "none" or at.startswith("<body"))
        wanted = {"search", "filter-status", "filter-runtime", "filter-namespace", "grid", "name", "age", "event-list"}
        expect(f"Tab reaches {wanted - reached}", wanted <= reached)

        one.search("agent-0001")
        page.until("the search narrows", f"{TOTAL} === 10")
        page.press("Enter")
        expect("Enter goes to the rows", page.ask(FOCUSED) == "grid" and page.ask(CHOSEN) == "agent-00010")
        for key in ("j", "ArrowDown", "k"):
            page.press(key)
        expect("j, k and arrows move", page.ask(CHOSEN) == "agent-00011")
        page.press("Enter")
        page.until("Enter opens the story", tells("agent-00011"))
        address = page.ask("location.href")
        expect("it has an address", "#agent=" in address)
        expect("the keyboard is in it", page.ask("$('#story').contains(document.activeElement)"))
        page.press("Escape")
        page.until("Escape closes it", CLOSED)
        expect("the keyboard is where it was", page.ask(FOCUSED) == "grid" and page.ask(CHOSEN) == "agent-00011")
        page.until("the address is the one of before", "!location.hash.includes('agent=')")

        page.press("/")
        expect("/ goes to the search", page.ask(FOCUSED) == "search")
        page.press("Escape")
        page.until("Escape clears it", f"{TOTAL} === 40")

        page.ask("$('#head .name button').focus()")
        page.press("Enter")
        page.until("Enter on a column turns its order", "$('#head .name').ariaSort === 'descending'"
                   " && $('.row[aria-rowindex=\"2\"] > .name').textContent === 'agent-00039'")

        page.ask("location.hash = '#map'")
        page.until("the map is shown", "$('.block canvas')?.checkVisibility()")
        page.ask("$('.block canvas').focus()")
        page.press("ArrowRight")
        pointed = page.ask("$('#pointed').textContent")
        expect("an arrow points at an agent", pointed.startswith("agent-"))
        expect("and it is said", page.ask("$('.block [role=option]').textContent") == pointed)
        page.press("Enter")
        page.until("Enter opens its story", tells(pointed.split(" ")[0]))
        page.ask("history.back()")
        page.until("the browser's back closes it", looks_at("map"))

        page.go(one.origin + "/page/page.css")
        page.until("somewhere else", "$('#main') === null")
        page.go(address)
        page.until("the address of a story opens it", tells("agent-00011"))
        page.press("Escape")
        page.until("and it closes", f"{CLOSED} && {LOADED}")
        one.calm()


# -- mouse -----------------------------------------------------------------------
def mouse(args, home):
    with watched(args, home, 40) as one:
        page = one.page
        one.enter()
        page.click(".row[aria-rowindex='4']")
        page.until("a click on a row opens its story", tells("agent-00002"))
        page.click("#story-close")
        page.until("it is closed", CLOSED)
        page.click(".row[aria-rowindex='5']")
        page.until("so does one on another", tells("agent-00003"))
        # The dialog lies at the right; what is left of it is beside it.
        page.click("html", x=0.1)
        page.until("a click beside it closes it", CLOSED)
        page.click(".chip.unreachable")
        page.until("a count is a filter", "!$('#nothing').hidden && $('#filter-status').value === 'unreachable'")
        page.click("#clear-too")
        page.until("which is cleared", f"{TOTAL} === 40")
        page.click("#event-list li.agent a")
        page.until("an event leads to its agent's story", OPENED)
        page.ask("history.back()")
        page.click("#views a[href='#map']")
        page.until("the map is shown", looks_at("map"))
        # The first square, of which the block has a row of eight.
        page.click(".block canvas", x=0.06, y=0.5)
        page.until("a square opens its agent's story", OPENED)
        page.click("html", x=0.1)
        page.until("it is closed", looks_at("map"))
        page.click(".block h3 button")
        page.until("a block's name shows its agents as a table", f"{looks_at('table')} && {TOTAL} === 8")
        one.calm()


def numbers(text):
    return [int(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=numbers, default=[0, 5, 1000, 10000], help="how many, separated by commas")
    parser.add_argument("--shots", metavar="DIR", help="where photographs go")
    return run_parts(parser, {"sizes": sizes, "edits": edits, "restart": restart, "stream": stream, "session": session,
                              "silent": silent, "tabs": tabs, "wrong": wrong, "hostile": hostile, "keys": keys,
                              "mouse": mouse})


if __name__ == "__main__":
    sys.exit(main())
