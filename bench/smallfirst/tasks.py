"""Questions whose answers a program can check: 100 of each of four kinds, the same every time.

    python3 bench/smallfirst/tasks.py > tasks.jsonl

A line: {"kind", "prompt", "right": [what would be right], "wrong": [what would not], "strong": what the stronger
model says}. `strong` is wrong in one of twenty, as the upstream of a cascade is now and then."""
import json
import random
import re
import sys

GOOD = ["The soup was hot, fresh and full of taste.", "I love how quiet this fan is.", "The staff went out of their way to help us.", "Best purchase I made this year.",
        "The film made me laugh from beginning to end.", "Delivery was fast and everything arrived in one piece.", "The hotel was spotless and the view was wonderful.",
        "My daughter plays with it every day.", "The battery lasts for two full days, amazing.", "A beautiful book that I could not put down.", "The seats are very comfortable.",
        "The app is simple, quick and does all I need."]
BAD = ["The soup was cold and tasted of nothing.", "The fan rattles so loudly that I can not sleep.", "The staff ignored us for half an hour.", "A complete waste of money.",
       "The film was so dull that I left.", "It arrived late and broken.", "The hotel was dirty and the room smelled of smoke.", "It fell apart after one day.",
       "The battery is empty after an hour, terrible.", "A boring book with a silly ending.", "The seats are hard and narrow.", "The app crashes every time I open it."]
TOPICS = {"sports": ["The striker scored twice in the last ten minutes.", "She won the final in straight sets.", "The team trains on the ice every morning.", "He ran the marathon in under three hours."],
          "cooking": ["Whisk the eggs and fold in the flour.", "Let the stew simmer for two hours.", "Chop the onions finely and fry them in butter.", "Bake the dough until it is golden."],
          "weather": ["Heavy rain and strong winds are expected tonight.", "It will be sunny with a light breeze.", "Snow is falling in the mountains.", "The fog will clear by noon."],
          "music": ["The violinist played a sonata by Brahms.", "The band released its third album.", "She sings in a choir on Sundays.", "He tuned the guitar before the concert."]}
NAMES = ["Anna Berg", "Tom Hill", "Maria Lopez", "Peter Wolf", "Lena Koch", "James Ford", "Nora Lind", "Omar Said"]
CITIES = ["Oslo", "Lisbon", "Vienna", "Dublin", "Prague", "Athens", "Madrid", "Helsinki"]
WORDS = ["apple", "river", "stone", "cloud", "green", "paper", "light", "horse", "bread", "chair", "music", "glass"]


def classification(r, i):
    if i % 2:
        good = r.random() < 0.5
        text = r.choice(GOOD if good else BAD) + (" " + r.choice(GOOD if good else BAD) if r.random() < 0.5 else "")
        return f"Is this review positive or negative? Answer with one word.\n\n{text}", ["positive" if good else "negative"], ["negative" if good else "positive"]
    topic = r.choice(list(TOPICS))
    text = " ".join(r.sample(TOPICS[topic], r.randint(1, 3)))
    return (f"Which topic is this text about: {', '.join(TOPICS)}? Answer with one word.\n\n{text}", [topic],
            [t for t in TOPICS if t != topic])


def extraction(r, i):
    name, city, day, price = r.choice(NAMES), r.choice(CITIES), r.randint(1, 28), r.randint(10, 99)
    mail = f"{name.split()[0].lower()}{r.randint(1, 99)}@example.com"
    text = f"{name} from {city} ordered a lamp for {price} dollars on {day} March; the receipt went to {mail}."
    what, right = [("the e-mail address", mail), ("the city", city), ("the price in dollars", str(price)), ("the name of the person", name)][i % 4]
    also = [f"${right}", f"{right} dollars"] if what == "the price in dollars" else []
    others = [x for x in (mail, city, name) if x != right]
    return f"Write {what} in this text and nothing else.\n\n{text}", [right, *also], others


def formatting(r, i):
    words = r.sample(WORDS, r.randint(2, 4))
    if i % 4 == 0:
        return f"Write this in capital letters and nothing else: {' '.join(words)}", [" ".join(words).upper()], [" ".join(words)]
    if i % 4 == 1:
        return f"Write these words parted by commas and nothing else: {' '.join(words)}", [", ".join(words), ",".join(words)], [" ".join(words)]
    if i % 4 == 2:
        return f"How many words are these? Answer with a number. {' '.join(words)}", [str(len(words))], [str(len(words) + 1)]
    return f"Which of these words comes first in the alphabet? Answer with one word. {' '.join(words)}", [min(words)], [max(words)]


def arithmetic(r, i):
    a, b = (r.randint(1, 9), r.randint(1, 9)) if i % 2 else (r.randint(10, 99), r.randint(10, 99))
    op, v = [("+", a + b), ("-", a - b), ("*", a * b)][i % 3]
    return f"What is {a} {op} {b}? Answer with a number.", [str(v), f"{a} {op} {b} = {v}"], [str(v + r.choice([1, -1, 10]))]


def tasks(n=100, seed=20261127):
    r = random.Random(seed)
    for make in (classification, extraction, formatting, arithmetic):
        seen = set()
        for i in range(n):
            while True:
                prompt, right, wrong = make(r, i)
                if prompt not in seen:
                    break
            seen.add(prompt)
            yield {"kind": make.__name__, "prompt": prompt, "right": right, "wrong": wrong, "strong": right[0] if r.random() >= 0.05 else r.choice(wrong)}


def is_right(task, said):
    """A small model talks around its answer: it is right if it says what is right and none of what would be
    wrong; of numbers the last one counts, and of what was to be written in a form the form."""
    kind, right = task["kind"], task["right"]
    if kind == "arithmetic" or right[0].isdigit():
        numbers = re.findall(r"-?\d+", said.replace(",", ""))
        return bool(numbers) and numbers[-1] in right
    if kind == "formatting":
        return any(re.search(rf"(?<!\w){re.escape(x)}(?!\w)", said) for x in right) and not any(x in said for x in task["wrong"])
    found = [x for x in right + task["wrong"] if re.search(rf"\b{re.escape(x)}\b", said, re.I)]
    return bool(found) and all(x in right for x in found)


if __name__ == "__main__":
    for t in tasks():
        json.dump(t, sys.stdout)
        print()
