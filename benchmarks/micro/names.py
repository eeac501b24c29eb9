# ruff: noqa: E501 (tables)
"""What instructions and labels call the slots and the classes of the micro world."""

from benchmarks.micro.lexicon import kinds

SLOT_NAMES: dict[str, tuple[str, ...]] = {
    "subject": ("the doer", "the actor", "the one who did it", "the first person named", "who acts", "the main figure",
                "who did it"),
    "companion": ("the companion", "the partner", "the one who came along", "the other one present", "who went along",
                  "the one beside", "with whom"),
    "receiver": ("the receiver", "the one who gets it", "the one it is for", "the new owner", "who gets it",
                 "the one served", "for whom"),
    "object": ("the thing", "the item", "the main thing", "the object", "the article", "the first thing", "what it is about"),
    "objects": ("the counted thing", "the sort of thing", "the counted item", "the ware", "the counted object", "the stock",
                "what there is"),
    "other": ("the other thing", "the second thing", "the other item", "the thing left aside", "the second item",
              "the last thing", "what else there is"),
    "verb": ("the action", "the deed", "the act", "the verb", "the doing", "the activity", "what was done"),
    "adj": ("the property", "the quality", "the describing word", "the look of the thing", "the adjective",
            "the detail", "what the thing is like"),
    "other_adj": ("the other property", "the second property", "the look of the other thing", "the second adjective",
                  "the other detail", "the other describing word", "what the other thing is like"),
    "place": ("the place", "the location", "the spot", "the scene", "the site", "the setting", "where it happened"),
    "origin": ("the start", "the origin", "the place left", "the starting place", "the source", "the first place",
               "where it came from"),
    "goal": ("the goal", "the target", "the place reached", "the final place", "the destination", "the end place",
             "where it went"),
    "time": ("the time", "the date", "the moment", "the point in time", "the hour or day", "the time word", "when it was"),
    "manner": ("the manner", "the way", "the mood of the doer", "the style", "the adverb", "the feeling", "how it was done"),
    "number": ("the number", "the count", "the amount", "the quantity", "the figure", "the total", "how many there are"),
    "weather": ("the weather", "the sky", "the conditions", "the forecast", "the climate", "the weather word",
                "what the weather was"),
    "sport": ("the sport", "the game", "the match", "the kind of sport", "the exercise", "the pastime", "what was played"),
    "w1": ("the first word", "word one", "the opening word", "the word at the start", "the leading word", "the head word",
           "the front word"),
    "w2": ("the second word", "word two", "the word after the first", "the next word", "number two", "the word in second place",
           "the word behind the first"),
    "w3": ("the third word", "word three", "the word after the second", "number three", "the word in third place",
           "the word two after the first", "the word behind the second"),
}  # fmt: skip
"""Slot -> ways to name it; the last one of a sentence's slot is a clause, which not every sentence can take."""

_CLASSES = """
animal: animal critter zoo
food: food meal groceries
tool: tool gear equipment
clothes: clothes clothing garment
vehicle: vehicle transport ride
furniture: furniture furnishing interior
instrument: instrument music sound
toy: toy plaything game
thing: household everyday stuff
name: name friend someone
job: job profession trade
color: color paint hue
size: size measure extent
quality: opinion judgment verdict
material: material substance fabric
place: place location somewhere
weather: weather clouds climate
sport: sport match pastime
time: clock hour daytime
weekday: weekday workday day
month: month calendar twelfth
manner: speed pace tempo
feeling: feeling emotion heart
number: number count figure
name.man: man male boy
name.woman: woman female girl
animal.farm: farm livestock barn
animal.pet: pet tame home
animal.wild: wild savage predator
animal.sea: sea marine ocean
food.fruit: fruit ripe juicy
food.vegetable: vegetable greens garden
food.sweet: sweet dessert treat
food.drink: drink beverage liquid
vehicle.land: road land wheels
vehicle.water: water floating afloat
vehicle.air: air flying aloft
color.warm: warm fiery sunny
color.cold: cool icy bluish
color.plain: plain dull neutral
size.large: large grand bulky
size.small: little minor petite
quality.good: good positive praise
quality.bad: poor negative complaint
place.house: house inside dwelling
place.town: town city public
place.nature: nature countryside landscape
time.day: daylight bright early
time.night: dark nightly late
manner.slow: slow steady patient
manner.fast: fast hurried quick
feeling.glad: glad happy joy
feeling.sorry: sorry unhappy gloom
verb.perceive: perceive look sense
verb.obtain: obtain gain acquire
verb.move: move shift transfer
verb.help: help care useful
verb.harm: harm damage hurt
"""


def _parse() -> dict[str, tuple[str, ...]]:
    rows = (line.split(": ") for line in _CLASSES.strip().splitlines())
    return {kind: tuple(names.split()) for kind, names in rows}


CLASS_NAMES: dict[str, tuple[str, ...]] = _parse()
"""Group or kind -> its name in instructions, then other words for it."""


def class_name(groups: tuple[str, ...]) -> str:
    """What instructions call a class; a class of single words is called by its word."""
    return names_of(groups)[0]


def names_of(groups: tuple[str, ...]) -> tuple[str, ...]:
    """The name of a class and other words for it."""
    first = groups[0]
    return (first[1:],) if first.startswith("=") else CLASS_NAMES[first]


def is_named(group: str) -> bool:
    """Whether a class of this group or kind has a name of its own."""
    return group in CLASS_NAMES and bool(kinds(group))
