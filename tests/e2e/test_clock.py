"""The wall clock jumps a day, forth and back, under way: deadlines and streams do not notice, only the age of answers does.
A library put before libc moves what CLOCK_REALTIME says; the monotonic clock stays."""
import json
import mmap
import shutil
import struct
import subprocess
import threading
import time

import pytest

from client import CHAT, prove, sse, user
from conftest import BIN
from upstream import answer, stream

pytestmark = [pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler"),
              pytest.mark.skipif("san/" in BIN, reason="a sanitizer's own library has to come first")]

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
static volatile long *shift;
static int (*real)(clockid_t, struct timespec *);
__attribute__((constructor)) static void begin(void)
{
    int fd = open(getenv("CLOCK_SHIFT"), O_RDONLY);
    shift = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    real = dlsym(RTLD_NEXT, "clock_gettime");
}
int clock_gettime(clockid_t c, struct timespec *t)
{
    int r;
    if (real == NULL)
        real = dlsym(RTLD_NEXT, "clock_gettime");
    r = real(c, t);
    if (r == 0 && shift != NULL && (c == CLOCK_REALTIME || c == CLOCK_REALTIME_COARSE))
        t->tv_sec += *shift;
    return r;
}
int gettimeofday(struct timeval *tv, void *tz)
{
    struct timespec t;
    (void)tz;
    clock_gettime(CLOCK_REALTIME, &t);
    tv->tv_sec = t.tv_sec;
    tv->tv_usec = t.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *out)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (out != NULL)
        *out = t.tv_sec;
    return t.tv_sec;
}
"""
DAY = 86400


@pytest.fixture
def clock(tmp_path):
    (tmp_path / "shim.c").write_text(SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", tmp_path / "shim.so", tmp_path / "shim.c", "-ldl"], check=True)
    path = tmp_path / "shift"
    path.write_bytes(bytes(4096))
    with open(path, "r+b") as f, mmap.mmap(f.fileno(), 4096) as m:
        def jump(seconds):
            m[:8] = struct.pack("q", seconds)
        jump.env = {"LD_PRELOAD": str(tmp_path / "shim.so"), "CLOCK_SHIFT": str(path)}
        yield jump


def timed(ibid, question, **kw):
    at = time.monotonic()
    r = ibid.chat(question, **kw)
    assert r.status == 200 and time.monotonic() - at < 3
    return r


def test_a_day_forth_and_back(make_ibid, upstream, clock):
    ibid = make_ibid(upstream, env=clock.env)
    upstream.default = lambda r: answer("said", usage=(3, 5))
    prove(ibid)
    timed(ibid, "q")
    assert timed(ibid, "q").source == "exact"
    clock(DAY + 60)  # store.ttl_s is a day: it is over now
    assert timed(ibid, "q").source == "upstream"
    for i in range(5):
        assert timed(ibid, f"forth {i}").source == "upstream" and timed(ibid, f"forth {i}").source == "exact"
    clock(-DAY)
    for i in range(5):
        assert timed(ibid, f"back {i}").source == "upstream" and timed(ibid, f"back {i}").source == "exact"
        assert timed(ibid, f"forth {i}").text == "said"
    clock(0)
    assert timed(ibid, "q").text == "said" and ibid.admin("/readyz").json["status"] == "ready"


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_what_is_under_way_goes_on(make_ibid, upstream, clock, jump):
    ibid = make_ibid(upstream, env=clock.env)
    prove(ibid)
    upstream.default = lambda r: stream("a b c d e f g h i j", pieces=150, gap=0.1)
    got = []
    clients = [threading.Thread(target=lambda i=i: got.append(ibid.request("POST", CHAT, json.dumps(user(f"s {i}", stream=True)), {
        "content-type": "application/json", "authorization": "Bearer sk-test"}))) for i in range(8)]
    for c in clients:
        c.start()
    time.sleep(0.4)
    clock(jump)
    for c in clients:
        c.join(20)
    assert len(got) == 8 and all(r.status == 200 and sse(r.body)[1] for r in got)
    assert ibid.metric("ibid_upstream_timeouts_total") == 0
