"""Whether the hosts of a download answer at all, asked before a client waits for them."""

from __future__ import annotations

import queue
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from urllib.parse import urlsplit

ANSWER_SECONDS = 8.0
"""How long is waited for an answer. TFDS tries a dead host eleven times: three minutes where
names are not resolved, half an hour where packets vanish, and it offers no limit."""

_MOST_HOSTS = 16


def silent_hosts(urls: Iterable[str], seconds: float = ANSWER_SECONDS) -> list[str]:
    """The hosts of `urls` if none of them answers in time, else an empty list.

    Any answer counts, since what it says is for the download to judge. A proxy that the
    environment names is used. Of many hosts the first 16 are asked.
    """
    by_host: dict[str, str] = {}
    for url in urls:
        by_host.setdefault(urlsplit(url).hostname or "", url)
    by_host.pop("", None)
    asked = dict(list(by_host.items())[:_MOST_HOSTS])
    answers: queue.Queue[bool] = queue.Queue()
    for url in asked.values():
        # Not waited for at the end: a silent name server cannot be given a limit otherwise.
        threading.Thread(target=_ask, args=(url, seconds, answers), daemon=True).start()
    deadline = time.monotonic() + seconds
    for _ in asked:
        try:
            if answers.get(timeout=max(0.0, deadline - time.monotonic())):
                return []
        except queue.Empty:
            break
    return list(asked)


def _ask(url: str, seconds: float, answers: queue.Queue[bool]) -> None:
    request = urllib.request.Request(url, method="HEAD")
    try:
        # Not `urlopen`, which goes by the proxies that there were at its first use.
        urllib.request.build_opener().open(request, timeout=seconds).close()
        answers.put(True)
    except urllib.error.HTTPError:
        answers.put(True)
    except urllib.error.URLError as error:
        # Who shows a certificate is there; TFDS may trust it where Python does not.
        answers.put(isinstance(error.reason, ssl.SSLError))
    except OSError:
        answers.put(False)
