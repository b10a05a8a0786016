#!/usr/bin/env python3
"""corpus.py dev|held COUNT [SEED]: synthetic texts with personal data and secrets in them, and
texts with what only looks like it. A line of JSON each: {"text": …, "finds": [[class, at,
bytes], …]}.

Every number with a checksum has a valid one, computed here by its own arithmetic. Nothing is
anybody's: all of it comes from a random generator. `held` has other sentences, other seeds and
other spellings than `dev`, which the finder was made with."""
import base64
import json
import random
import string
import sys

which, count = sys.argv[1], int(sys.argv[2])
rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else {"dev": 1, "held": 20011}[which])
held = which == "held"

FIRST = ["Anna", "Peter", "Maria", "James", "Wei", "Fatima", "Jürgen", "Sofia", "Liam", "Priya",
         "Olga", "Tomasz", "Chloé", "Diego"]
LAST = ["Keller", "Smith", "Novak", "Garcia", "Chen", "Haddad", "Müller", "Rossi", "Walsh", "Iyer",
        "Petrova", "Kowalski", "Dubois", "Ramos"]
if held:
    FIRST = ["Greta", "Oliver", "Ines", "Samuel", "Yuki", "Amira", "Björn", "Elena", "Noah", "Ravi"]
    LAST = ["Brandt", "Taylor", "Horvat", "Lopez", "Tanaka", "Nasser", "Sjöberg", "Conti", "Reid",
            "Mehta"]
WORDS = "river stone paper green window market silver garden engine letter summer bridge".split()


def digits(n):
    return "".join(rng.choice("0123456789") for _ in range(n))


def pick(*a):
    return rng.choice(a)


def ascii_(s):
    return (s.lower().replace("ü", "ue").replace("ö", "oe").replace("é", "e").replace("ñ", "n"))


# --- what is to be found ------------------------------------------------------------------------
def email():
    f, l = ascii_(rng.choice(FIRST)), ascii_(rng.choice(LAST))
    local = pick(f"{f}.{l}", f"{f[0]}{l}", f"{l}{digits(2)}", f"{f}_{l}", f"{f}+news", f"{f}-{l}")
    dom = pick("example.com", "mail.example.org", "acme.co.uk", "uni-bonn.de", "shop.fr",
               "corp.example.net", "startup.io")
    if held:
        dom = pick("firma.at", "beispiel.ch", "team.example.dev", "post.example.se", "x-y.museum")
    return f"{local}@{dom}"


def phone():
    kinds = [
        lambda: f"+49 {pick('30', '89', '151')} {digits(3)}{pick('', ' ')}{rng.randint(1000, 9999)}",
        lambda: f"+1 {rng.randint(200, 989)}-{rng.randint(200, 999)}-{digits(4)}",
        lambda: f"({rng.randint(200, 989)}) {rng.randint(200, 999)}-{digits(4)}",
        lambda: f"{rng.randint(200, 989)}-{rng.randint(200, 999)}-{digits(4)}",
        lambda: f"+44 20 {digits(4)} {digits(4)}",
        lambda: f"030 {rng.randint(1000000, 99999999)}",
        lambda: f"0171/{rng.randint(1000000, 9999999)}",
        lambda: f"+33 6 {digits(2)} {digits(2)} {digits(2)} {digits(2)}",
        lambda: f"+41{rng.randint(100000000, 999999999)}",
    ]
    if held:
        kinds = [
            lambda: f"+43 664 {rng.randint(1000000, 9999999)}",
            lambda: f"+1 ({rng.randint(200, 989)}) {rng.randint(200, 999)} {digits(4)}",
            lambda: f"{rng.randint(200, 989)}.{rng.randint(200, 999)}.{digits(4)}",
            lambda: f"0049 {pick('40', '211')} {rng.randint(100000, 9999999)}",
            lambda: f"+46 70 {digits(3)} {digits(2)} {digits(2)}",
            lambda: f"(0{rng.randint(30, 89)}) {rng.randint(1000000, 9999999)}",
            lambda: f"+91 {rng.randint(70000, 99999)} {digits(5)}",
            lambda: f"01 {rng.randint(20, 89)} {digits(2)} {digits(2)} {digits(2)}",
        ]
    return rng.choice(kinds)()


def iban():
    country, tail = pick(
        ("DE", lambda: digits(18)), ("AT", lambda: digits(16)), ("CH", lambda: digits(17)),
        ("GB", lambda: "".join(rng.choices(string.ascii_uppercase, k=4)) + digits(14)),
        ("NL", lambda: "".join(rng.choices(string.ascii_uppercase, k=4)) + digits(10)),
        ("ES", lambda: digits(20)), ("PL", lambda: digits(24)), ("NO", lambda: digits(11)),
        ("FR", lambda: digits(10) + "".join(rng.choices(string.ascii_uppercase + string.digits,
                                                         k=11)) + digits(2)))
    bban = tail()
    value = int("".join(str(int(c, 36)) for c in bban + country + "00"))
    s = f"{country}{98 - value % 97:02d}{bban}"
    return pick(s, " ".join(s[i:i + 4] for i in range(0, len(s), 4)))


def luhn(head, n):
    body = head + digits(n - 1 - len(head))
    total = 0
    for i, c in enumerate(reversed(body)):
        v = int(c) * (2 if i % 2 == 0 else 1)
        total += v - 9 if v > 9 else v
    return body + str(-total % 10)


def card():
    head, n = pick(("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("34", 15), ("37", 15),
                   ("6011", 16), ("65", 16), ("3530", 16), ("62", 16), ("36", 14))
    s = luhn(head, n)
    sep = pick("", " ", "-")
    if sep and n == 16:
        return sep.join(s[i:i + 4] for i in range(0, 16, 4))
    if sep:
        return sep.join((s[:4], s[4:10], s[10:]))
    return s


def day():
    return rng.randint(1940, 2012), rng.randint(1, 12), rng.randint(1, 28)


def national_id():
    y, m, d = day()

    def ssn():
        a = rng.choice([x for x in range(1, 900) if x != 666])
        return f"{a:03d}-{rng.randint(1, 99):02d}-{rng.randint(1, 9999):04d}", "SSN "

    def cpf():
        b = [rng.randint(0, 9) for _ in range(9)]
        b[0] = (b[1] + 1) % 10
        for k in (10, 11):
            r = sum(v * w for v, w in zip(b, range(k, 1, -1))) * 10 % 11
            b.append(0 if r == 10 else r)
        s = "".join(map(str, b))
        return f"{s[:3]}.{s[3:6]}.{s[6:9]}-{s[9:]}", "CPF "

    def pesel():
        mm = m + (20 if y >= 2000 else 0)
        s = f"{y % 100:02d}{mm:02d}{d:02d}{digits(4)}"
        c = -sum(int(v) * w for v, w in zip(s, (1, 3, 7, 9) * 3)) % 10
        return s + str(c), "PESEL "

    def ahv():
        s = "756" + digits(9)
        c = -sum(int(v) * (3 if i % 2 else 1) for i, v in enumerate(s)) % 10
        s += str(c)
        return f"{s[:3]}.{s[3:7]}.{s[7:11]}.{s[11:]}", "AHV "

    def dni():
        n = rng.randint(10000000, 99999999)
        return f"{n}{'TRWAGMYFPDXBNJZSQVHLCKE'[n % 23]}", "DNI "

    def cf():
        L = string.ascii_uppercase
        s = "".join(rng.choices(L, k=6)) + digits(2) + rng.choice(L) + digits(2) + rng.choice(L) + digits(3)
        odd = dict(zip("0123456789", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21)))
        odd.update(zip(L, (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14,
                           16, 10, 22, 25, 24, 23)))
        total = sum(odd[c] if i % 2 == 0 else int(c, 36) - (10 if c in L else 0)
                    for i, c in enumerate(s))
        return s + L[total % 26], "codice fiscale "

    def nir():
        s = f"{pick(1, 2)}{y % 100:02d}{m:02d}{rng.randint(1, 95):02d}{digits(6)}"
        key = 97 - int(s) % 97
        return pick(f"{s}{key:02d}", f"{s[0]} {s[1:3]} {s[3:5]} {s[5:7]} {s[7:10]} {s[10:]} {key:02d}"), "NIR "

    def cn():
        s = f"110105{y}{m:02d}{d:02d}{digits(3)}"
        c = sum(int(v) * (2 ** (17 - i) % 11) for i, v in enumerate(s)) % 11
        return s + "10X98765432"[c], "ID card "

    def hetu():
        s = f"{d:02d}{m:02d}{y % 100:02d}"
        n = f"{rng.randint(2, 899):03d}"
        return f"{s}{'A' if y >= 2000 else '-'}{n}{'0123456789ABCDEFHJKLMNPRSTUVWXY'[int(s + n) % 31]}", "HETU "

    def pnr():
        s = f"{y % 100:02d}{m:02d}{d:02d}{digits(3)}"
        t = sum(sum(divmod(int(v) * (2 - i % 2), 10)) for i, v in enumerate(s))
        return f"{s[:6]}-{s[6:]}{-t % 10}", "personnummer "

    def steuer():
        while True:
            pool = rng.sample("0123456789", 9)
            s = pool + [rng.choice(pool)]
            rng.shuffle(s)
            if s[0] != "0":
                break
        p = 10
        for c in s:
            p = (p + int(c)) % 10 or 10
            p = p * 2 % 11
        s = "".join(s) + str((11 - p) % 10)
        return pick(s, f"{s[:2]} {s[2:5]} {s[5:8]} {s[8:]}"), pick("Steuer-ID ", "tax ID: ", "IdNr. ")

    def nino():
        return ("".join((rng.choice("ABCEGHJKLMPRSTWXYZ"), rng.choice("ACEHJLMPRSWXYZ"))) + digits(6) +
                rng.choice("ABCD")), "NI number "

    def bsn():
        while True:
            s = digits(8)
            c = sum(int(v) * w for v, w in zip(s, range(9, 1, -1))) % 11
            if c < 10:
                return s + str(c), "BSN "

    def aadhaar():
        d5 = lambda a, b: ((a + b) % 5 if b < 5 else 5 + (a + b - 5) % 5) if a < 5 else (
            5 + (a - 5 - b) % 5 if b < 5 else (a - b) % 5)
        p = list(range(10))
        perms, base = [p], [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]
        for _ in range(7):
            perms.append([base[x] for x in perms[-1]])
        s = str(rng.randint(2, 9)) + digits(10)
        for c in "0123456789":
            k = 0
            for i, v in enumerate(reversed(s + c)):
                k = d5(k, perms[i % 8][int(v)])
            if k == 0:
                s += c
                break
        return f"{s[:4]} {s[4:8]} {s[8:]}", "Aadhaar "

    kinds = [ssn, cpf, pesel, ahv, dni, cf, nir, cn, hetu, pnr, steuer, nino, bsn, aadhaar]
    value, name = rng.choice(kinds)()
    return value, name


def host():
    kinds = [
        lambda: f"{pick('10', '172.16', '192.168')}",
        lambda: ".".join(str(rng.randint(1, 254)) for _ in range(4)),
        lambda: ":".join("%02x" % rng.randint(0, 255) for _ in range(6)),
        lambda: ":".join("%x" % rng.randint(1, 65535) for _ in range(8)),
        lambda: f"fe80::{rng.randint(1, 65535):x}:{rng.randint(1, 9)}{rng.randint(0, 4095):x}",
        lambda: f"{pick('db', 'web', 'jenkins')}{pick('', '-')}{rng.randint(1, 20)}.{pick('prod', 'eu', 'lab')}.internal",
        lambda: f"{pick('wiki', 'git', 'vault')}.{pick('acme', 'office')}.{pick('corp', 'lan', 'local')}",
    ]
    kinds[0] = lambda: pick("10.%d.%d.%d" % tuple(rng.randint(0, 254) for _ in range(3)),
                            "192.168.%d.%d" % tuple(rng.randint(1, 254) for _ in range(2)))
    if held:
        kinds += [lambda: "-".join("%02X" % rng.randint(0, 255) for _ in range(6)),
                  lambda: f"2001:db8::{rng.randint(1, 65535):x}:{rng.randint(10, 99)}",
                  lambda: f"printer-{rng.randint(1, 9)}.{pick('home.arpa', 'intranet')}"]
    return rng.choice(kinds)()


B62 = string.ascii_letters + string.digits


def rand(n, alphabet=B62):
    while True:
        s = "".join(rng.choices(alphabet, k=n))
        if any(c.isdigit() for c in s) or not any(c.isdigit() for c in alphabet):
            return s


def key():
    kinds = [
        lambda: ("", f"sk-proj-{rand(48)}"), lambda: ("", f"AKIA{rand(16, string.ascii_uppercase + '234567')}"),
        lambda: ("", f"ghp_{rand(36)}"), lambda: ("", f"glpat-{rand(20)}"),
        lambda: ("", f"xoxb-{digits(12)}-{digits(12)}-{rand(24)}"), lambda: ("", f"AIza{rand(35)}"),
        lambda: ("", f"sk_live_{rand(24)}"), lambda: ("", f"hf_{rand(34)}"),
        lambda: ("password: ", rand(5, string.ascii_letters) + digits(3) + "!x"),
        lambda: ("api_key=", rand(32)), lambda: ("token = \"", rand(40)),
        lambda: ("", rand(40)), lambda: ("secret: ", rand(40, "0123456789abcdef")),
        lambda: ("", base64.b64encode(rng.randbytes(32)).decode()),
    ]
    if held:
        kinds = [
            lambda: ("", f"sk-ant-api03-{rand(60)}"), lambda: ("", f"npm_{rand(36)}"),
            lambda: ("", f"github_pat_{rand(22)}_{rand(59)}"), lambda: ("", f"SG.{rand(22)}.{rand(43)}"),
            lambda: ("client_secret: ", rand(36)), lambda: ("the access key is ", rand(40, "0123456789abcdef")),
            lambda: ("passwd=", rand(7) + digits(2) + "#"), lambda: ("", rand(48)),
            lambda: ("Bearer ", rand(64)), lambda: ("", rand(32)),
        ]
    return rng.choice(kinds)()


def private_key():
    kind = pick("RSA ", "EC ", "", "OPENSSH ")
    body = base64.b64encode(rng.randbytes(300)).decode()
    lines = "\n".join(body[i:i + 64] for i in range(0, len(body), 64))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----"


def b64url(b):
    return base64.urlsafe_b64encode(b).decode().rstrip("=")


def jwt():
    head = json.dumps({"alg": pick("HS256", "RS256"), "typ": "JWT"})
    body = json.dumps({"sub": digits(8), "iat": 1700000000 + rng.randint(0, 10**7)})
    return f"{b64url(head.encode())}.{b64url(body.encode())}.{b64url(rng.randbytes(32))}"


# --- what only looks like it --------------------------------------------------------------------
def negative():
    ean = lambda s: s + str(-sum(int(v) * (3 if i % 2 else 1) for i, v in enumerate(s)) % 10)

    def isbn13():
        s = ean("978" + digits(9))
        return f"ISBN {s[:3]}-{s[3]}-{s[4:6]}-{s[6:12]}-{s[12]}"

    kinds = [
        lambda: f"order {digits(3)}-{digits(7)}-{digits(7)}",
        lambda: f"order number {rng.randint(10**9, 10**10 - 1)}",
        lambda: f"version {rng.randint(1, 9)}.{rng.randint(0, 20)}.{rng.randint(0, 20)}.{rng.randint(1, 99)}",
        lambda: f"v{rng.randint(1, 30)}.{rng.randint(0, 20)}.{rng.randint(0, 99)}",
        lambda: f"commit {rand(40, '0123456789abcdef')}",
        lambda: f"sha256:{rand(64, '0123456789abcdef')}",
        isbn13,
        lambda: f"ISBN 0-{digits(3)}-{digits(5)}-{digits(1)}",
        lambda: f"{rng.randint(1600000000, 1799999999)}",
        lambda: f"{rng.randint(1600000000000, 1799999999999)}",
        lambda: f"2026-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}T{rng.randint(0, 23):02d}:{digits(1)}5:0{digits(1)}Z",
        lambda: f"#{rand(6, '0123456789abcdef')}",
        lambda: "-".join(rand(n, "0123456789abcdef") for n in (8, 4, 4, 4, 12)),
        lambda: f"{rng.randint(1, 9)},{digits(3)},{digits(3)}.{digits(2)} USD",
        lambda: f"std::vector<int{pick(8, 16, 32)}>::iterator",
        lambda: f"getUserById{digits(1)}FromDatabaseConnectionPool",
        lambda: f"react@{rng.randint(1, 19)}.{digits(1)}.{digits(1)}",
        lambda: f"logo@2x.png",
        lambda: f"git@github.com:acme/tool.git",
        lambda: f"com.acme.internal.Handler{digits(1)}",
        lambda: f"MAX_RETRIES_PER_{rng.choice(WORDS).upper()}_CONNECTION_{digits(2)}",
        lambda: f"{rng.randint(1, 23)}:{rng.randint(10, 59)}:{rng.randint(10, 59)}",
        lambda: f"3.14159265358979{digits(4)}",
        lambda: f"the {rng.choice(WORDS)}-{rng.choice(WORDS)}-{rng.choice(WORDS)}-{digits(3)} branch",
        lambda: f"password: required",
        lambda: f"token = get_token(user_{digits(2)})",
        lambda: f"127.0.0.1:{rng.randint(1024, 9999)}",
        lambda: f"page {rng.randint(10, 99)}-{rng.randint(100, 199)}",
        lambda: f"invoice INV-2026-{digits(6)}",
        lambda: f"https://example.com/{rng.choice(WORDS)}-{rng.choice(WORDS)}-{digits(4)}/index.html",
    ]
    if held:
        kinds += [
            lambda: f"tracking number 1Z{rand(6, string.ascii_uppercase + string.digits)}{digits(8)}",
            lambda: f"firmware {rng.randint(1, 9)}.{digits(1)}.{digits(1)}.{rng.randint(10, 99)}",
            lambda: f"md5 {rand(32, '0123456789abcdef')}",
            lambda: f"serial number {digits(4)}-{digits(4)}-{digits(3)}",
            lambda: f"RFC {rng.randint(1000, 9999)} section {digits(1)}.{digits(1)}.{digits(1)}",
            lambda: f"doi 10.{digits(4)}/{rand(8, string.ascii_lowercase)}.{digits(4)}",
            lambda: f"\"{rng.choice(WORDS)}_{rng.choice(WORDS)}_controller_spec{digits(2)}.rb\"",
            lambda: f"row {digits(9)} of {digits(12)}",
            lambda: f"merge of {rand(12, '0123456789abcdef')} into main",
            lambda: f"processWebSocketFrameHandler{digits(2)}WithRetryPolicy",
        ]
    return rng.choice(kinds)()


AROUND = [("Please write to {} about the {}.", 1), ("My {w} changed: it is now {}. What should I do?", 0),
          ("Summarise this ticket: customer says {} does not work since Monday.", 0),
          ("Update the record to {} and confirm.", 0), ("{} is what the {w} log says, why?", 0),
          ("Here is the config:\n  value: {}\nIs that right?", 0), ("Translate to German: \"Use {} for the {w}.\"", 0),
          ("From: {}\nSubject: the {w}", 0), ("a,b,c\n1,{},{w}", 0)]
if held:
    AROUND = [("Kannst du bitte {} im {w} nachsehen?", 0), ("<p>{}</p>", 0), ("Why does {} fail, while the {w} works?", 0),
              ("He told me ({}) and nothing else.", 0), ("- {w}\n- {}\n- {w}", 0), ("The answer was '{}'.", 0),
              ("{w}; {}; {w}", 0), ("I moved; new contact: {}. Draft a letter.", 0)]


def build():
    """One to three values, and one to three things that are none."""
    parts, finds = [], []
    for _ in range(rng.randint(1, 3)):
        kind = pick("email", "phone", "iban", "card", "national_id", "host", "key", "private_key",
                    "jwt", "none", "none", "none")
        frame = rng.choice(AROUND)[0].replace("{w}", "\0")
        while "\0" in frame:
            frame = frame.replace("\0", rng.choice(WORDS), 1)
        pre, _, post = frame.partition("{}")
        post = post.replace("{}", rng.choice(WORDS))
        lead = ""
        if kind == "none":
            value = negative()
        elif kind == "national_id":
            value, lead = national_id()
        elif kind == "key":
            lead, value = key()
        else:
            value = globals()[kind]()
        text = "".join(parts)
        at = len((text + pre + lead).encode())
        quote = "\"" if lead.endswith("\"") else ""
        parts.append(pre + lead + value + quote + post + "\n")
        if kind != "none":
            finds.append([kind, at, len(value.encode())])
        if rng.random() < 0.6:
            parts.append(f"By the way, {negative()} is from the {rng.choice(WORDS)} list.\n")
    return {"text": "".join(parts), "finds": finds}


for _ in range(count):
    print(json.dumps(build()))
