#!/usr/bin/env python3
"""sizing.py IBID DATA_DIR ENTRIES: starts IBID on a store and prints what that takes, a line of JSON (bench/sizing.sh).

taking_s: from the start until it takes requests; found_s: until all entries are in the index; lists_s: until that has no more
to do (its lists are made, where it is large). Memory at last: all that is resident, that without mapped files, and the index by
its own account; the encoder's weights (22 MiB) are resident, too. Exit status 1: not all is found after 10 s."""
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

READY_MAX_S = 10
PATIENCE_S = 600
ibid, folder, entries = sys.argv[1], sys.argv[2], int(sys.argv[3])


def free_ports(n):
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in socks]
    for s in socks:
        s.close()
    return ports


def metrics(port):
    try:
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
    except OSError:
        return {}
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line and line[0] != "#"}


def ticks(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def held_mib(pid):
    status = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status") if ":" in line)
    kib = lambda name: int(status[name].split()[0])
    return round(kib("VmRSS") / 1024, 1), round((kib("VmRSS") - kib("RssFile")) / 1024, 1)


def main():
    port, admin = free_ports(2)
    env = dict(os.environ, IBID_LISTEN=f"127.0.0.1:{port}", IBID_ADMIN_LISTEN=f"127.0.0.1:{admin}", IBID_DATA_DIR=folder, IBID_LOG_LEVEL="error",
               IBID_UPSTREAM_URL="http://127.0.0.1:9", IBID_LOCAL_MODEL="off", IBID_STORE_ENTRIES_MAX="100000000", IBID_STORE_BYTES_MAX="1TiB",
               IBID_CACHE_INDEX_ENTRIES_MAX="100000000", IBID_CACHE_INDEX_BYTES_MAX="64GiB")
    began = time.monotonic()
    process = subprocess.Popen([ibid, "serve"], env=env, stdout=subprocess.DEVNULL)
    out = {"entries": entries, "file_mib": round(os.stat(f"{folder}/entries.lmdb").st_blocks / 2048)}
    try:
        while not (m := metrics(admin)) and time.monotonic() - began < PATIENCE_S and process.poll() is None:
            time.sleep(0.01)
        out["taking_s"] = round(time.monotonic() - began, 2)
        while m.get("ibid_index_ready", 0) != 1 or m.get("ibid_index_entries", 0) < entries:
            if process.poll() is not None or time.monotonic() - began > PATIENCE_S:
                print(f"sizing: {m.get('ibid_index_entries', 0):.0f} of {entries} entries were found: the store has others", file=sys.stderr)
                return 1
            time.sleep(0.05)
            m = metrics(admin)
        out["found_s"] = round(time.monotonic() - began, 2)
        # Its threads rest when there is nothing more to do.
        before, quiet_since = ticks(process.pid), time.monotonic()
        while time.monotonic() - quiet_since < 3 and time.monotonic() - began < PATIENCE_S:
            time.sleep(0.25)
            now = ticks(process.pid)
            if now - before > 5:
                quiet_since = time.monotonic()
            before = now
        out["lists_s"] = round(quiet_since - began, 1)
        m = metrics(admin)
        out["rss_mib"], out["own_mib"] = held_mib(process.pid)
        out["index_mib"] = round(m["ibid_index_bytes"] / 2**20, 1)
        print(json.dumps(out), flush=True)
        return out["found_s"] > READY_MAX_S
    finally:
        process.terminate()
        process.wait(60)


sys.exit(main())
