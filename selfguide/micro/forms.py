"""Sentence forms of the pretraining corpus, and those that only the benchmark uses."""

SENTENCES = (
    "{subject} {verb} the {object}.",
    "{subject} {verb} the {adj} {object}.",
    "{subject} {verb} the {object} {place}.",
    "{subject} {verb} the {adj} {object} {place}.",
    "{time} {subject} {verb} the {adj} {object}.",
    "{place} {subject} {verb} the {object} {manner}.",
    "{subject} {manner} {verb} the {adj} {object} {time}.",
    "{subject} {verb} {number} {objects} {place}.",
    "{subject} {verb} {number} {adj} {objects} {time}.",
    "{subject} {verb} the {object} {companion} {time}.",
    "{time} {subject} {companion} {verb} the {object} {place}.",
    "what {subject} {verb} was the {adj} {object}.",
    "because of the {weather} {subject} {verb} the {object}.",
    "{subject} {verb} the {adj} {object} after {sport}.",
)
RECORDS = (
    "{subject}: {object}, {place}",
    "{object} / {adj} / {subject}",
    "{adj} {object} for {subject}",
    "{number} {objects} {place}",
    "{time} | {subject} | {object}",
    "{weather} {place} {time}",
    "{subject} plays {sport} {companion}",
)
PHRASES = ("{adj} {object}", "{object} {place}", "{manner} {time}", "{adj} {object} {place}")
WORD = "{w1}"
LISTS = ("{w1} {w2}", "{w1}, {w2}, {w3}", "{w1} {w2} {w3}", "{w1} and {w2}", "{w1}, {w2}, {w3}, {w4}")

# Never in the corpus: neither as inputs nor as outputs.
HELD_OUT = (
    "{time}, {place}, {subject} {verb} the {adj} {object}.",
    "it was {subject} who {verb} the {adj} {object} {place}.",
    "{subject} {verb} the {object} {place} {time} {companion}.",
    "ticket {number}: {adj} {object}, {weather}, {time}",
    "{subject} with a {adj} {object} {verb} {number} {objects}.",
)
