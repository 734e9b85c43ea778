"""browser.py: a real browser without a window, for the proof of the page: Chromium, told what to do over a pipe.

Chromium speaks its DevTools protocol over two file descriptors as well as over a WebSocket: JSON objects with a zero byte
after each. So nothing is needed that Python does not bring.
"""
import base64
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time

from live import Failed, until

# An answer to a command comes in milliseconds, and much later where ten thousand rows are made on a busy machine.
ANSWER_DEADLINE = 60.0

# Keys that are no character, with the numbers that browsers know them by.
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}

# Run before any script of the page: what the browser refuses is kept, and read at the end.
WATCH = """
window.refusals = [];
addEventListener("securitypolicyviolation", (event) => {
  window.refusals.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
});
"""


class Browser:
    """One Chromium with a profile of its own, ended with all its processes by `close`."""

    def __init__(self, home):
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        if program is None:
            raise Failed("chromium is missing: install Debian's chromium")
        # Not below the evidence: a profile is large, and tells nothing.
        self.profile = tempfile.mkdtemp(prefix="meshd-chromium-")
        to_browser, self.send_fd = os.pipe()
        self.receive_fd, from_browser = os.pipe()
        # Chromium reads 3 and writes 4; copies that lie above cannot be overwritten while those two are put in place.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (to_browser, from_browser)]
        arguments = [program, "--headless=new", "--no-sandbox", "--remote-debugging-pipe", f"--user-data-dir={self.profile}",
                     "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     "--hide-scrollbars", "--force-device-scale-factor=1", "about:blank"]
        log = os.path.join(home, "chromium.log")
        self.pid = os.posix_spawn(program, arguments, os.environ, setpgroup=0, file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2), (os.POSIX_SPAWN_DUP2, high[0], 3), (os.POSIX_SPAWN_DUP2, high[1], 4)])
        for fd in (to_browser, from_browser, *high):
            os.close(fd)
        self.buffer, self.number, self.answers, self.pages = b"", 0, {}, {}

    def page(self):
        """A tab, empty as yet."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.pages[session] = page = Page(self, session)
        page.prepare()
        return page

    def call(self, method, session=None, **params):
        """One command, and what the browser answers."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.send_fd, data):]
        number, deadline = self.number, time.monotonic() + ANSWER_DEADLINE
        while number not in self.answers:
            self.read(deadline - time.monotonic(), method)
        answer = self.answers.pop(number)
        if "error" in answer:
            raise Failed(f"{method}: {answer['error'].get('message')}")
        return answer["result"]

    def read(self, seconds, waiting_for):
        """Takes in what the browser says, for at most so long."""
        if seconds <= 0 or not select.select([self.receive_fd], [], [], seconds)[0]:
            raise Failed(f"the browser does not answer: {waiting_for}")
        data = os.read(self.receive_fd, 1 << 20)
        if not data:
            raise Failed("the browser ended")
        *messages, self.buffer = (self.buffer + data).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self.answers[message["id"]] = message
            elif message.get("sessionId") in self.pages:
                self.pages[message["sessionId"]].heard(message["method"], message["params"])

    def close(self):
        for fd in (self.send_fd, self.receive_fd):
            os.close(fd)
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)
        shutil.rmtree(self.profile, ignore_errors=True)


class Page:
    """One tab: what is done to it, and what was heard of it."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session
        self.requests, self.complaints, self.dialogs = [], [], []

    def prepare(self):
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.before(WATCH)

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def heard(self, method, params):
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(argument.get("value", argument)) for argument in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(params["message"])

    # -- looking -------------------------------------------------------------
    def go(self, url):
        self.call("Page.navigate", url=url)

    def ask(self, script):
        """What an expression is, with `$` and `$$` as in the browser's own console; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True,
                           includeCommandLineAPI=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise Failed(f"{script}: {details.get('exception', {}).get('description') or details['text']}")
        return answer["result"].get("value")

    def until(self, what, script, deadline=30.0):
        """Waits until an expression is true, and returns the seconds that it took."""
        return until(what, lambda: self.ask(script), deadline, again=0.02)[1]

    def text(self, selector):
        return self.ask(f"document.querySelector({json.dumps(selector)})?.innerText ?? null")

    # -- hands ---------------------------------------------------------------
    def press(self, key):
        event = {"key": key}
        if key in KEYS:
            event.update(code=key, windowsVirtualKeyCode=KEYS[key])
        text = {"text": {"Enter": "\r"}.get(key, key)} if key == "Enter" or key not in KEYS else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **event, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def type(self, text):
        for character in text:
            self.press(character)

    def click(self, selector, x=0.5, y=0.5):
        """Clicks on an element, by default on its middle."""
        box = self.ask(f"$({json.dumps(selector)}).getBoundingClientRect().toJSON()")
        place = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
        self.call("Input.dispatchMouseEvent", type="mouseMoved", **place)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    # -- circumstances -------------------------------------------------------
    def front(self):
        """Somebody looks at this tab, and at no other."""
        self.call("Page.bringToFront")

    def before(self, script):
        """Runs a script before any of the page's own, from the next page on."""
        self.call("Page.addScriptToEvaluateOnNewDocument", source=script)

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, name):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def shot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
