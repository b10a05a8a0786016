"""Random JSON Schemas of what the built-in model can write by: nested, recursive, in any script, with bounds."""
import random

WORDS = ["name", "größe", "id", "price_eur", "straße", "名前", "tags", "is active", "a\"b", "emoji 🙂", "x", "items", "Δt", "c\\d", "note"]
PATTERNS = [r"^[A-Z]{2}-\d{4}$", r"^(red|green|blue)$", r"^#[0-9a-f]{6}$", r"\d+", r"^[^aeiou\s]{3,8}$", r"^\+?[0-9 ]{5,15}$", r"^[à-ÿ]{2,4}$", r"^(\w+\.)*\w+$", r'^"[a-z]*"$',
            r"^\d{1,3}(,\d{3})*$", r"end$", r"^v\d+\.\d+(\.\d+)?(-(alpha|beta)\.\d+)?$"]
FORMATS = ["date", "time", "date-time", "uuid", "email", "ipv4", "hostname", "uri"]


def number(rng, whole):
    s = {"type": "integer" if whole else "number"}
    low = rng.choice([-1000, -17, 0, 1, 3, 1990]) if whole else rng.choice([-2.5, 0, 0.001, 0.25, 12, -1e6])
    if rng.random() < 0.5:
        s[rng.choice(["minimum", "exclusiveMinimum"])] = low
    if rng.random() < 0.5:
        s[rng.choice(["maximum", "exclusiveMaximum"])] = low + (rng.choice([10, 31, 2000]) if whole else rng.choice([0.5, 10, 1e7]))
    if rng.random() < 0.2 and (whole or len(s) < 3):  # two bounds may leave no multiple
        s["multipleOf"] = rng.choice([2, 5]) if whole else rng.choice([0.25, 0.5])
    return s


def string(rng):
    s, kind = {"type": "string"}, rng.random()
    if kind < 0.25:
        s["pattern"] = rng.choice(PATTERNS)
    elif kind < 0.4:
        s["format"] = rng.choice(FORMATS)
    elif kind < 0.7:
        s["minLength"] = rng.choice([0, 1, 5])
        s["maxLength"] = s["minLength"] + rng.choice([0, 3, 20])
    return s


def literal(rng):
    return rng.choice([{"enum": ["low", "medium", "high"]}, {"const": "v1"}, {"enum": [1, 12, 123, None]}, {"enum": ["ja", "nein", "vielleicht", "日本"]}, {"const": {"a": [1, "b", None]}},
                       {"enum": [True, "true", 1.5]}])


def array(rng, depth):
    s = {"type": "array", "items": schema(rng, depth + 1)}
    if rng.random() < 0.5:
        s["minItems"] = rng.choice([0, 1, 3])
    if rng.random() < 0.6:
        s["maxItems"] = s.get("minItems", 0) + rng.choice([0, 1, 4])
    if rng.random() < 0.15:
        s["prefixItems"] = [schema(rng, depth + 1) for _ in range(2)]
    return s


def object_(rng, depth):
    names = rng.sample(WORDS, rng.choice([1, 2, 3, 5]))
    s = {"type": "object", "properties": {n: schema(rng, depth + 1) for n in names}, "required": [n for n in names if rng.random() < 0.6]}
    if rng.random() < 0.5:
        s["additionalProperties"] = False
    return s


def union(rng, depth):
    kind = rng.random()
    if kind < 0.3:
        return {"type": [rng.choice(["string", "integer", "boolean"]), "null"]}
    if kind < 0.7:
        return {"anyOf": [schema(rng, depth + 1) for _ in range(rng.choice([2, 3]))]}
    return {"oneOf": [{"type": "object", "properties": {"kind": {"const": k}, "value": schema(rng, depth + 1)}, "required": ["kind", "value"]} for k in ("a", "ab", "c")]}


def schema(rng, depth=0):
    if depth < 3 and rng.random() < 0.55:
        return rng.choice([array, object_, object_, union])(rng, depth)
    return rng.choice([lambda: number(rng, True), lambda: number(rng, False), lambda: string(rng), lambda: string(rng), lambda: literal(rng), lambda: {"type": "boolean"}])()


TREE = {"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 3}},
        "required": ["name", "children"], "additionalProperties": False}}}
LIST = {"type": "object", "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["value", "next"]}
EXPRESSION = {"$ref": "#/definitions/e", "definitions": {"e": {"anyOf": [{"type": "number"}, {"type": "object", "properties": {"op": {"enum": ["+", "-", "*"]}, "args": {"type": "array",
              "items": {"$ref": "#/definitions/e"}, "minItems": 2, "maxItems": 2}}, "required": ["op", "args"]}]}}}


def schemas(n, seed=1):
    """n of them; some refer to themselves."""
    rng = random.Random(seed)
    for i in range(n):
        if i % 25 in (3, 11, 19):
            yield {3: TREE, 11: LIST, 19: EXPRESSION}[i % 25]
        else:
            yield object_(rng, 0) if i % 3 else schema(rng)
