"""Pages in a real browser, as far as this machine has one."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)

needs_browser = pytest.mark.skipif(BROWSER is None, reason=f"no browser here, none of {', '.join(NAMES)}")

WATCH = """<script>
"use strict";
const complaints = [];
addEventListener("error", (event) => complaints.push(event.message));
addEventListener("unhandledrejection", (event) => complaints.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => complaints.push(`refused: ${event.blockedURI}`));
console.error = console.warn = (...parts) => complaints.push(parts.join(" "));
</script>"""

REPORT = """<script>
"use strict";
const drawn = setInterval(async () => {
  if (!document.querySelector("#lanes canvas")) return;
  clearInterval(drawn);
  let found = null;
  try { found = await (async () => { SCRIPT })(); } catch (error) { complaints.push(String(error.stack)); }
  const report = document.createElement("pre");
  report.id = "report";
  report.textContent = JSON.stringify({ found, complaints });
  document.body.append(report);
}, 20);
</script>"""


def run_in_browser(
    page: str, script: str, folder: Path, *, size: tuple[int, int] = (1280, 800), flags: str = ""
) -> Any:
    """What `script` returns when it runs in `page` after that has drawn; no complaint of the page is let pass.

    Args:
        page: HTML.
        script: the body of an asynchronous JavaScript function.
        folder: for the page.
        size: of the window.
        flags: more of the browser's own.
    """
    assert BROWSER is not None
    watched = page.replace("<head>", f"<head>{WATCH}", 1).replace(
        "</body>", REPORT.replace("SCRIPT", script) + "</body>"
    )
    file = folder / "watched.html"
    file.write_text(watched, encoding="utf-8")
    options = f"--headless=new --no-sandbox --disable-gpu --virtual-time-budget=8000 --dump-dom {flags}".split()
    command = [
        BROWSER,
        *options,
        f"--user-data-dir={folder}/profile",
        f"--window-size={size[0]},{size[1]}",
        file.as_uri(),
    ]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout
    report = re.search(r'<pre id="report">(.*?)</pre>', dumped, re.DOTALL)
    assert report is not None, f"the script has not come to its end: {dumped[-300:]}"
    answer = json.loads(html.unescape(report[1]))
    assert answer["complaints"] == []
    return answer["found"]
