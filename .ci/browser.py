"""Checks the cookies with a real browser: what pages of the API's own origin, of a listed one and of others can do.

All pages are on this machine. Browsers take the address 127.0.0.1 as safe, so that Secure cookies work over http.
Another port of it is another origin of the same site, and gets the cookies sent along; http://localhost is another
site.
"""

import contextlib
import http.server
import json
import tempfile
import threading
import time
import uuid

import jwt
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from stack import request, run, stack

ACCESS, REFRESH = "__Host-access_token", "__Host-refresh_token"
GREETING = '{"message":"Hello johndoe, you are authenticated!"}'
SIGN_IN = {"username": "johndoe", "password": "secret", "cookie": "true"}
RENEW = {"grant_type": "refresh_token"}

FETCH = """
const [url, method, fields, mode, token, done] = arguments;
const body = fields && new URLSearchParams(fields);
const headers = token ? { Authorization: `Bearer ${token}` } : {};
fetch(url, { method, body, mode, headers, credentials: "include" })
  .then(async (answer) => ({
    status: answer.status, body: await answer.text(), headers: Object.fromEntries(answer.headers),
  }))
  .catch((error) => ({ error: error.name }))
  .then(done);
"""

FORM = """
const [url, fields, referrer] = arguments;
document.head.innerHTML = `<meta name="referrer" content="${referrer}">`;
const form = document.body.appendChild(document.createElement("form"));
Object.assign(form, { action: url, method: "post" });
for (const [name, value] of Object.entries(fields)) {
  Object.assign(form.appendChild(document.createElement("input")), { name, value });
}
form.submit();
"""


class Page(http.server.BaseHTTPRequestHandler):
    """An empty page at every path."""

    def do_GET(self):
        body = b"<!DOCTYPE html><title>Another origin</title><body></body>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def page_server():
    """The port of an origin that serves empty pages."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


@contextlib.contextmanager
def chromium():
    """A browser with a profile of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server",
                         "--no-first-run", "--disable-background-networking", f"--user-data-dir={profile}"):
            options.add_argument(argument)
        driver = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
        driver.set_script_timeout(60)
        print(f"Chromium {driver.capabilities['browserVersion']}")
        try:
            yield Browser(driver)
        finally:
            driver.quit()


class Browser:
    """A browser, and what its pages do."""

    def __init__(self, driver):
        self.driver = driver
        # The scripts stand for pages of one's own. Those of this API are JSON, whose policy lets nothing be called.
        self.driver.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})

    def open(self, url):
        self.driver.get(url)
        assert self.driver.execute_script("return origin") == url.rstrip("/"), self.driver.current_url

    def fetch(self, url, method="GET", fields=None, mode="cors", token=None):
        """What a script of this page gets to know of the answer: it, or that there was an error."""
        return self.driver.execute_async_script(FETCH, url, method, fields, mode, token)

    def ask(self, status, *arguments, **more):
        """The answer's body; it has this status and shows no cookie."""
        answer = self.fetch(*arguments, **more)
        assert answer.get("status") == status, (arguments, answer)
        assert "set-cookie" not in answer["headers"], answer
        return answer["body"]

    def submit(self, url, fields, referrer="strict-origin"):
        """Sends a form, as a click on its button would, and waits for the page that answers."""
        self.driver.execute_script(FORM, url, fields, referrer)
        deadline = time.monotonic() + 30
        while self.driver.current_url != url or self.driver.execute_script("return document.readyState") != "complete":
            assert time.monotonic() < deadline, self.driver.current_url
            time.sleep(0.02)

    def cookies(self):
        """All cookies of this page's host, also those that no script sees."""
        return {cookie["name"]: cookie for cookie in self.driver.get_cookies()}

    def sessions(self, api):
        """The names of the sessions, asked from the API's own origin."""
        self.open(f"{api}/")
        return [session["id"] for session in self.driver.execute_async_script(
            "fetch('/sessions').then((answer) => answer.json()).then(({ sessions }) => arguments[0](sessions))"
        )]


def values(cookies):
    return {name: cookie["value"] for name, cookie in cookies.items()}


def no_token(body):
    return "token_type" in body and "access_token" not in body and "refresh_token" not in body


def ended(api, cookies):
    """Whether the session of these cookies is over: asked past the browser, with the token itself."""
    fields = {"grant_type": "refresh_token", "refresh_token": cookies[REFRESH]["value"]}
    return request(f"{api}/login", fields)[1].get("error") == "invalid_grant"


def session_of(token):
    return jwt.decode(token, options={"verify_signature": False})["sid"]


def check_own_origin(browser, api):
    browser.open(f"{api}/")
    assert no_token(browser.ask(200, f"{api}/login", "POST", SIGN_IN))
    cookies = browser.cookies()
    assert set(cookies) == {ACCESS, REFRESH}, cookies.keys()
    for cookie in cookies.values():
        attributes = {name: cookie.get(name) for name in ("domain", "path", "httpOnly", "secure", "sameSite")}
        assert attributes == {
            "domain": "127.0.0.1", "path": "/", "httpOnly": True, "secure": True, "sameSite": "Strict",
        }, attributes
    assert browser.ask(200, f"{api}/protected") == GREETING
    print("own origin: a sign-in sets both cookies, and /protected greets with them")

    assert browser.driver.execute_script("return document.cookie") == ""
    browser.driver.execute_script(
        "for (const name of arguments) document.cookie = `${name}=x; Path=/; Secure; SameSite=Strict`", ACCESS, REFRESH
    )
    assert values(browser.cookies()) == values(cookies)
    print("own origin: scripts neither see nor overwrite the cookies, nor do they see Set-Cookie")

    assert no_token(browser.ask(200, f"{api}/login", "POST", RENEW))
    renewed = browser.cookies()
    assert set(renewed) == {ACCESS, REFRESH}
    assert all(renewed[name]["value"] != cookies[name]["value"] for name in renewed)
    assert browser.ask(200, f"{api}/protected") == GREETING
    assert len(browser.sessions(api)) == 1
    print("own origin: a refresh renews both cookies and shows no token")

    assert browser.ask(200, f"{api}/logout", "POST") == '{"ended":1}'
    assert browser.cookies() == {} and ended(api, renewed)
    browser.ask(401, f"{api}/protected")
    assert "refresh_token is missing" in browser.ask(400, f"{api}/login", "POST", RENEW)
    print("own origin: logout takes the cookies back and ends the session; /protected answers 401")


def mark(running):
    """A place in the gateway's log: after all that it has answered so far."""
    path = f"/mark-{uuid.uuid4()}"
    request(f"{running.api}{path}")
    deadline = time.monotonic() + 30
    while not any(path in line for line in running.log):
        assert time.monotonic() < deadline, "the log has stopped"
        time.sleep(0.005)
    return next(number for number, line in enumerate(running.log) if path in line)


def watch(running, act):
    """What an act gives, and what the gateway answers meanwhile: method, path and status of each request."""
    begin = mark(running)
    result = act()
    lines = [line.split() for line in running.log[begin + 1:mark(running)] if line.startswith("[gateway] ")]
    # The icon of the page before may be asked for late.
    return result, [(line[1], line[2], int(line[3])) for line in lines if line[2] != "/favicon.ico"]


def check_other_origin(browser, running, name, origin, is_same_site):
    """Whatever a page of another origin tries, the visitor's session goes on and no other begins."""
    api = running.api
    browser.open(f"{api}/")
    browser.ask(200, f"{api}/login", "POST", SIGN_IN)
    before = values(browser.cookies())
    (session,) = browser.sessions(api)

    def unharmed(what):
        assert browser.sessions(api) == [session], what
        assert values(browser.cookies()) == before, what
        assert browser.ask(200, f"{api}/protected") == GREETING, what
        print(f"{name}: {what}")

    unreadable, opaque = {"error": "TypeError"}, {"status": 0, "body": "", "headers": {}}
    # With cookies the gateway greets, and the browser keeps the greeting to itself.
    browser.open(origin)
    shown, answers = watch(running, lambda: browser.fetch(f"{api}/protected"))
    seen = 200 if is_same_site else 401
    assert shown == unreadable and answers == [("GET", "/protected", seen)], (shown, answers)
    unharmed(f"can't read /protected, which answers {seen}, with{'' if is_same_site else 'out'} the cookies")

    forged = {
        "log the visitor out": ("/logout", None),
        "end all sessions": ("/logout", {"sessions": "all"}),
        "refresh": ("/login", RENEW),
        "sign the visitor in": ("/login", SIGN_IN),
    }
    for what, (path, fields) in forged.items():
        # Without its cookie, the visitor's refresh has no token at all.
        status = 400 if fields == RENEW and not is_same_site else 401
        for mode, nothing in (("cors", unreadable), ("no-cors", opaque)):
            browser.open(origin)
            shown, answers = watch(running, lambda: browser.fetch(f"{api}{path}", "POST", fields, mode))
            assert shown == nothing and answers == [("POST", path, status)], (what, shown, answers)
        for referrer in ("strict-origin", "no-referrer"):
            browser.open(origin)
            _, answers = watch(running, lambda: browser.submit(f"{api}{path}", fields or {}, referrer))
            assert answers == [("POST", path, status)], (what, answers)
        unharmed(f"can't {what}, neither by fetch nor by a form")

    browser.open(origin)
    shown, answers = watch(running, lambda: browser.fetch(f"{api}/sessions/{session}", "DELETE"))
    assert shown == unreadable and [method for method, *_ in answers] == ["OPTIONS"], (shown, answers)
    unharmed("can't end a session by its name: the browser asks first")

    # None has used the refresh token up.
    browser.ask(200, f"{api}/login", "POST", RENEW)
    browser.ask(200, f"{api}/logout", "POST")
    browser.open(origin)
    browser.fetch(f"{api}/login", "POST", SIGN_IN)
    browser.submit(f"{api}/login", SIGN_IN)
    browser.open(f"{api}/")
    assert browser.cookies() == {}
    print(f"{name}: can't sign in a visitor who isn't")


def check_listed_origin(browser, api, origin):
    """A page of an origin in CorsOrigins can do what one of the API's own can."""
    browser.open(origin)
    assert no_token(browser.ask(200, f"{api}/login", "POST", SIGN_IN))
    other = request(f"{api}/login", {"username": "johndoe", "password": "secret"})[1]
    assert browser.ask(200, f"{api}/protected") == GREETING
    cookies = browser.cookies()
    assert set(cookies) == {ACCESS, REFRESH} and browser.driver.execute_script("return document.cookie") == ""
    assert no_token(browser.ask(200, f"{api}/login", "POST", RENEW))
    renewed = browser.cookies()
    assert all(renewed[name]["value"] != cookies[name]["value"] for name in (ACCESS, REFRESH))
    assert browser.ask(200, f"{api}/protected") == GREETING
    print("listed origin: signs in, reads /protected and refreshes")

    listing = browser.ask(200, f"{api}/sessions")
    mine, theirs = session_of(renewed[ACCESS]["value"]), session_of(other["access_token"])
    assert mine in listing and theirs in listing
    assert browser.ask(204, f"{api}/sessions/{theirs}", "DELETE") == ""
    assert request(f"{api}/login", {**RENEW, "refresh_token": other["refresh_token"]})[0] == 400
    assert browser.ask(200, f"{api}/logout", "POST") == '{"ended":1}'
    assert browser.cookies() == {} and ended(api, renewed)
    assert "invalid_token" in browser.ask(401, f"{api}/protected")
    print("listed origin: ends another session and its own; reads the 401 afterwards")


def check_listed_site(browser, api, origin):
    """A listed origin of another site has no use of cookies, which are SameSite=Strict; a token in the header works."""
    browser.open(origin)
    assert no_token(browser.ask(200, f"{api}/login", "POST", SIGN_IN))
    browser.ask(401, f"{api}/protected")
    tokens = json.loads(browser.ask(200, f"{api}/login", "POST", {"username": "johndoe", "password": "secret"}))
    assert browser.ask(200, f"{api}/protected", token=tokens["access_token"]) == GREETING
    browser.ask(200, f"{api}/logout", "POST", {"sessions": "all"}, token=tokens["access_token"])
    browser.open(f"{api}/")
    assert browser.cookies() == {}
    print("listed origin of another site: gets no cookies; with the token in the header it is greeted")


def main():
    with page_server() as port, page_server() as other_port, chromium() as browser:
        origin, other_origin = (f"http://127.0.0.1:{port}" for port in (port, other_port))
        other_site = f"http://localhost:{port}"
        with stack({}) as running:
            check_own_origin(browser, running.api)
            check_other_origin(browser, running, "another port", origin, is_same_site=True)
            check_other_origin(browser, running, "another site", other_site, is_same_site=False)
        with stack({"CorsOrigins": origin}) as running:
            check_listed_origin(browser, running.api, origin)
            check_other_origin(browser, running, "origin that isn't listed", other_origin, is_same_site=True)
        with stack({"CorsOrigins": f"{other_site},{origin}"}) as running:
            check_listed_site(browser, running.api, other_site)


if __name__ == "__main__":
    run("browser", main)
