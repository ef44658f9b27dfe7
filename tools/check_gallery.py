#!/usr/bin/env python3
"""Opens a gallery in headless Chromium as a user would, from the file system, and checks that it works.

    tools/check_gallery.py GALLERY [--screenshots DIR]      a gallery that lvo wrote
    tools/check_gallery.py --synthetic 20480                a made-up index of that many features

Loads without console errors, search, sort and filter narrow and order, a feature opens and its slider moves, keys work.
With --synthetic, also the time from navigation to the first cards, which must stay under a second.
"""
import argparse
import base64
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ASSETS = pathlib.Path(__file__).resolve().parent.parent / "Sources/Reports/Assets"

DRIVER = """
const results = {};
const sleep = ms => new Promise(done => setTimeout(done, ms));
const press = key => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
async function until(condition, what) {
  for (let i = 0; i < 200; i++) { if (condition()) return true; await sleep(10); }
  throw new Error("never: " + what);
}
const all = selector => [...document.querySelectorAll(selector)];
async function drive() {
  results.cards = all(".card").length;
  const total = document.getElementById("count").textContent;
  results.total = Number(total);
  const search = document.getElementById("search"), words = all(".card .words").map(w => w.textContent.trim());
  const word = words.find(w => w)?.split(" ")[0];
  if (word) {
    search.value = word;
    const start = performance.now();
    search.dispatchEvent(new Event("input"));
    results.search = { word, ms: performance.now() - start, count: document.getElementById("count").textContent };
    if (!all(".card").every(card => card.textContent.includes(word))) throw new Error("search shows others");
    search.value = "";
    search.dispatchEvent(new Event("input"));
  }
  const sort = all(".bar select")[0];
  const measure = [...sort.options].map(o => o.value).find(v => v.includes("active_share")) ?? sort.options[2]?.value;
  if (measure) {
    sort.value = measure;
    const start = performance.now();
    sort.dispatchEvent(new Event("change"));
    results.sortMs = performance.now() - start;
    const shown = all(".card .soft").filter((_, i) => i % 2 === 0).map(e => parseFloat(e.textContent.split(" ").at(measure.split("_").length)));
    const numbers = shown.filter(Number.isFinite);
    if (numbers.some((n, i) => i && n > numbers[i - 1] + 1e-9)) throw new Error("not sorted: " + numbers.slice(0, 9));
  }
  const dreams = all(".bar button").find(b => b.textContent === "with dreams");
  dreams.click();
  results.withDreams = document.getElementById("count").textContent;
  if (all(".card").length) {
    press("Enter");
    await until(() => document.querySelector("h1"), "a feature opens");
    results.feature = document.querySelector("h1").textContent;
    results.charts = all("svg.chart").length;
    const slider = document.querySelector("input[type=range]"), frame = document.querySelector(".frame");
    if (slider) {
      const before = frame.style.backgroundPosition;
      press("[");
      if (frame.style.backgroundPosition === before) throw new Error("the slider does not move the picture");
      slider.value = 0;
      slider.dispatchEvent(new Event("input"));
      if (document.querySelector(".slider output").textContent !== "step 0") throw new Error("slider at step 0");
      results.slider = true;
    }
    await sleep(50);
    const broken = all("img").filter(img => img.complete && img.naturalWidth === 0 && img.src);
    if (broken.length) throw new Error("pictures missing: " + broken[0].src);
    press("j");
    await sleep(30);
    press("Escape");
    await until(() => document.getElementById("search"), "back to the index");
  }
  location.hash = "#/measures";
  await until(() => document.title.startsWith("Measures"), "measures");
  location.hash = "#/about";
  await until(() => document.title.startsWith("About"), "about");
  const dark = document.documentElement.classList.contains("dark");
  press("t");
  if (document.documentElement.classList.contains("dark") === dark) throw new Error("no dark mode");
}
drive().catch(error => { results.error = String(error); }).then(() => JSON.stringify(results));
"""


class Browser:
    """Headless Chromium, spoken to over its debugging pipe (messages of JSON, each ended by a zero byte)."""

    def __init__(self):
        to_browser, self.output = os.pipe()
        self.input, from_browser = os.pipe()

        def descriptors():
            os.dup2(to_browser, 3)
            os.dup2(from_browser, 4)

        # Numbers above 4, so that one dup2 does not close what the next needs.
        to_browser, from_browser = fcntl.fcntl(to_browser, fcntl.F_DUPFD, 10), fcntl.fcntl(from_browser, fcntl.F_DUPFD, 10)
        self.process = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "about:blank"],
            preexec_fn=descriptors, pass_fds=(3, 4, to_browser, from_browser), stderr=subprocess.DEVNULL)
        self.buffer, self.number, self.events, self.session = b"", 0, [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(domain + ".enable")

    def message(self):
        while b"\0" not in self.buffer:
            chunk = os.read(self.input, 1 << 20)
            if not chunk:
                raise RuntimeError("the browser ended")
            self.buffer += chunk
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **parameters):
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.output, json.dumps(request).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.message())

    def open(self, url):
        """Navigates; returns milliseconds until the load event, by the page's own clock."""
        self.events = [event for event in self.events if event.get("method") != "Page.loadEventFired"]
        self.call("Page.navigate", url="about:blank")
        self.wait("Page.loadEventFired")
        self.events = [event for event in self.events if event.get("method") != "Page.loadEventFired"]
        self.call("Page.navigate", url=url)
        self.wait("Page.loadEventFired")
        return self.run("performance.now()")

    def run(self, script):
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        return result["result"].get("value")

    def size(self, width, height, phone=False, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        value = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def errors(self):
        problems = []
        for event in self.events:
            parameters = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                problems.append(parameters["exceptionDetails"].get("exception", {}).get("description", "exception"))
            if event.get("method") == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
                problems.append(str([argument.get("value") for argument in parameters["args"]]))
            if event.get("method") == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
                problems.append(parameters["entry"]["text"] + " " + parameters["entry"].get("url", ""))
        return problems

    def close(self):
        self.process.terminate()
        self.process.wait()


def synthetic(folder, count):
    """A gallery of the documented format with `count` features, one of which has data."""
    (folder / "data/layer/features").mkdir(parents=True)
    words = ["red", "blue", "stripes", "dots", "circle", "star", "waves", "checkerboard"]
    columns = {
        "site": [0] * count, "index": list(range(count)),
        "words": [" ".join((words[i % 8], words[i // 8 % 8])) for i in range(count)],
        "peaks": [[i % 1000, (i * 7) % 1000] for i in range(count)],
        "dreams": [[0, 301] if i % 1000 == 3 else [] for i in range(count)],
        "thumbnail": [None] * count, "dream_thumbnail": [None] * count,
        "measures": {"active_share": [(i * 7919 % 1000) / 1000 for i in range(count)],
                     "largest_activation": [i % 37 / 7 for i in range(count)]},
    }
    index = {"format": 1, "title": "Synthetic", "facts": {"model": "none"}, "sites": ["layer/features"], "summary": [],
             "columns": columns}
    (folder / "data/index.js").write_text(f"lvo.index({json.dumps(index)});\n")
    for i in range(3, count, 1000):
        page = {"layer": "layer", "space": "features", "index": i, "words": ["red"], "timesteps": [1, 21], "frequency": [0, 1],
                "max_activation": [0, 1], "peaks": [21], "examples": [], "priors": [], "dreams": [], "measures": {}}
        chart = "<svg class='chart' viewBox='0 0 10 10'></svg>"
        charts = {"activity": chart, "maximum": chart, "histories": []}
        name = folder / f"data/layer/features/{i}.js"
        name.write_text(f'lvo.feature("layer/features/{i}",{json.dumps(page)},{json.dumps(charts)});\n')
    for name in ("gallery.css", "gallery.js"):
        shutil.copy(ASSETS / name, folder / name)
    (folder / "index.html").write_text((ASSETS / "index.html").read_text().replace("{{title}}", "Synthetic"))


def screenshots(browser, gallery, target):
    target.mkdir(parents=True, exist_ok=True)
    index = json.loads((gallery / "data/index.json").read_text())
    columns = index["columns"]
    keys = [f"{index['sites'][s]}/{n}" for s, n, d in zip(columns["site"], columns["index"], columns["dreams"]) if d]
    url = (gallery / "index.html").resolve().as_uri()
    browser.run("localStorage.clear()")
    shots = [("index", "", {}), ("measures", "#/measures", {}), ("phone-index", "", {"phone": True})]
    shots += [(f"feature-{number}", f"#/{key}", {}) for number, key in enumerate(keys[:2])]
    if keys:
        shots += [("phone-feature", f"#/{keys[0]}", {"phone": True}), ("dark-feature", f"#/{keys[0]}", {"dark": True})]
    for name, route, options in shots:
        browser.size(390 if options.get("phone") else 1280, 850, **options)
        browser.open(url + route)
        browser.run("new Promise(done => setTimeout(done, 400))")
        height = min(4000, max(850, int(browser.run("document.documentElement.scrollHeight"))))
        browser.size(390 if options.get("phone") else 1280, height, **options)
        browser.run("new Promise(done => setTimeout(done, 300))")
        picture = browser.call("Page.captureScreenshot", format="png")["data"]
        (target / f"{name}.png").write_bytes(base64.b64decode(picture))
        print(target / f"{name}.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gallery", nargs="?", type=pathlib.Path)
    parser.add_argument("--synthetic", type=int)
    parser.add_argument("--screenshots", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        gallery = options.gallery
        if options.synthetic:
            gallery = pathlib.Path(temporary) / "gallery"
            synthetic(gallery, options.synthetic)
        browser = Browser()
        browser.size(1280, 850)
        opened = browser.open((gallery / "index.html").resolve().as_uri())
        results = json.loads(browser.run(DRIVER))
        results["opened_ms"] = opened
        if options.screenshots:
            screenshots(browser, gallery, options.screenshots)
        problems = browser.errors()
        browser.close()
    print(json.dumps(results, indent=1))
    if options.synthetic and opened > 1000:
        problems.append(f"{opened:.0f} ms to open")
    problems += [results["error"]] if "error" in results else []
    for problem in problems:
        print("FAILED:", problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
