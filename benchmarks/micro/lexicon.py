# ruff: noqa: E501 (tables)
"""The words of the micro world. Every word belongs to exactly one kind, so a sentence reads in one way."""

from functools import cache

# kind -> words. A kind is "group.subkind"; a group of one subkind is written alone.
_TABLE = """
name.man: Tom Ben Max Sam Leo Jack Paul Omar Ivan Hugo Carl Noah Adam Finn Kurt Luke Oscar Pete Ralph Simon Theo Victor Walter Felix Gary
name.woman: Ann Eva Lily Nina Rosa Mia Clara Zoe Ruth Sara Emma Vera Lena Dora Olga Alice Betty Carol Diana Ella Grace Helen Irene Julia Kate
job: doctor teacher farmer baker driver singer painter nurse pilot lawyer soldier sailor judge waiter barber tailor miner guard clerk dancer
animal.farm: cow pig goat hen horse sheep donkey rooster turkey goose lamb calf
animal.pet: dog cat rabbit hamster puppy kitten parrot pony
animal.wild: bear wolf lion tiger fox deer monkey elephant zebra camel leopard badger
animal.sea: whale shark dolphin seal crab salmon octopus lobster
food.fruit: apple pear plum lemon melon peach mango grape cherry banana fig apricot
food.vegetable: carrot potato onion tomato cabbage pumpkin radish turnip spinach lettuce leek garlic
food.sweet: cake cookie pie candy chocolate waffle muffin pudding donut brownie
food.drink: tea coffee milk juice wine beer lemonade cocoa cider soda
tool: hammer saw drill shovel wrench axe rake ladder pliers chisel spade broom hoe screwdriver crowbar
clothes: hat shirt coat shoe sock glove scarf dress jacket belt sweater skirt boot vest apron
vehicle.land: car bus train bike truck tram taxi van scooter tractor
vehicle.water: boat ship canoe ferry yacht raft kayak barge
vehicle.air: plane helicopter balloon rocket glider jet
furniture: chair table sofa bed desk shelf wardrobe bench stool cupboard
instrument: piano guitar violin drum flute trumpet harp banjo cello organ
toy: doll kite puzzle marble robot puppet yoyo dice
thing: ball book lamp box cup key clock phone bag knife basket mirror plate rope bottle candle pencil pillow towel bucket
color.warm: red orange pink yellow scarlet golden
color.cold: blue green purple violet turquoise navy
color.plain: black white gray brown beige silver
size.large: big huge giant large enormous vast
size.small: small tiny little short mini narrow
quality.good: great lovely nice wonderful superb charming perfect excellent pleasant delightful amazing brilliant fantastic splendid
quality.bad: awful bad horrible terrible nasty poor ugly dreadful boring gross disgusting lousy shabby miserable
material: wooden plastic metal glass stone paper leather cotton rubber iron
place.house: kitchen bathroom bedroom cellar attic garage hallway pantry
place.town: market school library office museum hotel station church bakery theater bank hospital
place.nature: forest river beach mountain desert meadow valley lake jungle island swamp canyon
weather: rain snow wind fog thunder hail frost mist storm sunshine
sport: tennis football chess golf hockey rugby cricket boxing judo soccer
time.day: morning noon dawn breakfast sunrise
time.night: midnight evening dusk sunset supper
weekday: Monday Tuesday Wednesday Thursday Friday Saturday Sunday
month: January February March April June July August September October November December
manner.slow: slowly calmly lazily gently quietly carefully
manner.fast: quickly rapidly suddenly hastily swiftly promptly
feeling.glad: happily proudly gladly cheerfully merrily joyfully
feeling.sorry: sadly angrily bitterly gloomily nervously grimly
number: two three four five six seven eight nine
"""

# group -> verbs as present/third person/past/participle.
_VERBS = """
verb.perceive: see/sees/saw/seen notice/notices/noticed/noticed watch/watches/watched/watched spot/spots/spotted/spotted observe/observes/observed/observed
verb.obtain: find/finds/found/found buy/buys/bought/bought take/takes/took/taken get/gets/got/gotten steal/steals/stole/stolen borrow/borrows/borrowed/borrowed
verb.move: push/pushes/pushed/pushed pull/pulls/pulled/pulled carry/carries/carried/carried drag/drags/dragged/dragged lift/lifts/lifted/lifted throw/throws/threw/thrown
verb.help: wash/washes/washed/washed clean/cleans/cleaned/cleaned fix/fixes/fixed/fixed paint/paints/painted/painted protect/protects/protected/protected mend/mends/mended/mended
verb.harm: drop/drops/dropped/dropped lose/loses/lost/lost kick/kicks/kicked/kicked hit/hits/hit/hit ruin/ruins/ruined/ruined scratch/scratches/scratched/scratched
"""

IRREGULAR_PLURALS = {
    "sheep": "sheep",
    "goose": "geese",
    "calf": "calves",
    "wolf": "wolves",
    "deer": "deer",
    "salmon": "salmon",
    "knife": "knives",
    "shelf": "shelves",
    "dice": "dice",
    "pliers": "pliers",
}


def _parse(table: str) -> dict[str, tuple[str, ...]]:
    return {line.split(":")[0]: tuple(line.split(":")[1].split()) for line in table.strip().splitlines()}


WORDS: dict[str, tuple[str, ...]] = _parse(_TABLE)
VERBS: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    kind: tuple((b, t, p, q) for b, t, p, q in (v.split("/") for v in verbs)) for kind, verbs in _parse(_VERBS).items()
}
NOUN_GROUPS = ("animal", "food", "tool", "clothes", "vehicle", "furniture", "instrument", "toy", "thing")


@cache
def kinds(group: str) -> tuple[str, ...]:
    """The kinds of a group: "animal" -> "animal.farm", ...; a full kind stands for itself."""
    return tuple(k for k in (*WORDS, *VERBS) if k == group or k.startswith(f"{group}."))


@cache
def words(group: str) -> tuple[str, ...]:
    """All words of a group or kind; verbs by their base form."""
    return tuple(w for k in kinds(group) for w in (WORDS[k] if k in WORDS else [v[0] for v in VERBS[k]]))


@cache
def _kind_by_word() -> dict[str, str]:
    table = {w: kind for kind, ws in WORDS.items() for w in ws}
    return table | {v[0]: kind for kind, vs in VERBS.items() for v in vs}


def kind_of(word: str) -> str:
    """The kind of a word (verbs: base form)."""
    return _kind_by_word()[word]


@cache
def verb_forms() -> dict[str, tuple[str, str, str, str]]:
    """Base form -> (base, third person, past, participle)."""
    return {v[0]: v for vs in VERBS.values() for v in vs}


def plural(noun: str) -> str:
    """The plural of a noun."""
    if noun in IRREGULAR_PLURALS:
        return IRREGULAR_PLURALS[noun]
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    if noun in ("potato", "tomato", "mango") or noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    return noun + "s"
