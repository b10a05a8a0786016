#!/usr/bin/env python3
"""interference.py CHAT_URL LOAD_LUA: p99 of exact hits idle, and while another client keeps the
encoder busy with questions never asked before. Prints JSON."""
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.parse

url = urllib.parse.urlsplit(sys.argv[1])


def wrk():
    out = subprocess.run(["wrk", "-t1", "-c4", "-d3s", "-s", sys.argv[2], sys.argv[1]], capture_output=True, text=True,
                         env={**os.environ, "MODE": "exact"}).stdout
    return json.loads(re.search(r"RESULT (.*)", out).group(1))


def post(conn, text):
    conn.request("POST", url.path, json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}),
                 {"Authorization": "Bearer sk-bench"})
    conn.getresponse().read()


stopping = False


def embed():
    conn, i = http.client.HTTPConnection(url.hostname, url.port), 0
    while not stopping:
        i += 1
        post(conn, f"What is question number {i} of {time.time()} about, and who asked it?")


wrk()
idle = wrk()
threads = [threading.Thread(target=embed) for _ in range(2)]
[t.start() for t in threads]
busy = wrk()
stopping = True
[t.join() for t in threads]
print(json.dumps({"idle_p99_us": idle["p99_us"], "busy_p99_us": busy["p99_us"], "idle_rps": idle["rps"], "busy_rps": busy["rps"]}))
