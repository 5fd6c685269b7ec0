"""Correction of one-letter spelling errors, in the graph.

All words one edit away (Damerau, 1964) are looked up in the vocabulary, so no index has to be built or saved.
"""

import unicodedata
from collections.abc import Iterable

import tensorflow as tf

from models.vocabulary import SPACE

# Shorter words are one edit away from too many others.
SHORTEST_SWAPPED, SHORTEST_EDITED = 3, 4
NONE = -1
# Common English words, never corrected: `from` does not mean `frog`.
WORDS = """
    able about above across act add adult after again age ago aim all alone along also always among and angry another
    any apart arm around art ask asleep aunt away awake back bad bag bake bank bark bars bath bed been before began
    begin behind being below belt bend best better bigger birth bit bite black blow board body bone boot born both
    bottom bowl brave bread break bring broken brown brush build built burn busy but buy buzz call calm came can card
    care carry catch caught chase cheek cheer chew child circle city clap class clean clever climb close cloth clown
    coat code coin cold collar come cook cool corner cost cough could count cover crawl crazy cream cross crown cry
    curl cut daddy dance danger dare dear deep desk did die dig dinner dirt dish dive doll done door double down dream
    dress drink drive drop drum dry dust each ear early earth east easy eat edge egg eight else empty end enjoy enter
    even ever every eye face fact fair fall family famous fancy far farm fast fat father fear feed feel feet fell felt
    fence few field fight fill film find finger finish fire first fit fix flag flame flat flew float floor fluffy fly
    fold follow food foot force forget fork form found free fresh friend from front fruit full fun funny fur gave gentle
    get giant give glad glass glow goat gold gone good grab grand grass great grew ground group grow grumpy guard
    guess guide habit had hair half hall hand hang happen happy hard has hate have head hear heart heat heavy held
    hello help her here hero hidden hide high hill him his hit hold hole home honey hope hop hot hour how hug hum
    hundred hungry hunt hurry hurt ice idea ill inside into iron its jam job join joke joy juice jump just keep kept
    key kick kid kind king kiss kitchen knee knew knife know lady lake land lane large last late laugh law lay lazy
    lead leaf learn least leave led leg less let letter level lie life lift light like line lip list listen little
    live loaf local lock lonely long look lose lost lot loud love low luck lucky lunch mad made magic mail main make
    many map march mark mask match may maybe meal mean meat meet melt men mess met middle might mile milk mill mind
    mine minute miss mix model mom money month more most mother move movie much mud mum music must name near neat neck
    need nest never new next nice nine noise none noon north nose not note nothing now number ocean off often oil old
    once one only open orange order other our out outside oven over own pack page paid pain paint pair pale pan paper
    parent park part party pass past path pay pen people pet phone photo pick pie piece pink pipe pirate place plain
    plan plant plate play please plus pocket poem point pole police polite pond pool poor pop post pot pour power
    press pretty price prince print prize proud pull pupil pure push put queen quick quiet quite race rain ran rare
    read ready real rest rice rich ride right ring rise river road rock roll roof room root rope rose rough round row
    royal rub rude rug rule run rush sad safe said sail salt same sand sang sat save saw say scare scary school score
    sea seat second secret see seed seem seen sell send sent set seven shade shake shall shape share sharp she shell
    shelf shine shirt shoe shop shore short should shout show shut shy sick side sight sign silly silver simple since
    sing sister sit six size skin sky sleep slept slice slide slip slow slowly sly small smart smell smile smoke smooth
    snake snap soap sock soft soil sold some son song soon sorry sort soul sound soup south space spare speak special
    speed spell spend spin spoon sport spot spring square stand start state stay steal steam step stick still stone
    stood stop store storm story strange street string strong such sugar suit summer supper sure sweet swim swing
    table tail take tale talk tall task taste tea teach team tear tell ten test than thank that the their them then
    there these they thick thin thing think third this those though thread three threw throw thumb ticket tidy tie
    tiger tight time tiny tired title toast today toe told tomato too took tool tooth top torn touch toward towel tower
    town trail trap trick trip true trust try tune turn twice twin two ugly uncle under until upon upset use useful
    very view visit voice wait wake walk wall want war warm was wash waste watch water wave way weak wear week weigh
    well went were west wet what wheel when where which while white who whole whose why wide wife wild will win wind
    window wing winter wise wish with woke woman won wood wool word wore work world worm worry worth would wow write
    wrong yard yawn year yellow yes yet you young your yummy zero zoo
"""
COMMON = frozenset(WORDS.split())


def latin_letters(words: Iterable[str]) -> list[str]:
    """The Latin letters that occur in words, sorted."""
    return sorted({letter for word in words for letter in word if unicodedata.name(letter, "").startswith("LATIN")})


def one_edit_away(words: tf.Tensor, letters: tf.Tensor, table: tf.lookup.StaticVocabularyTable) -> tf.Tensor:
    """The only word of a vocabulary that is one edit away from each word.

    An edit inserts, deletes or replaces a letter, or swaps two neighbours. If exactly one word is a swap away, it is
    preferred to all other edits, because words rarely consist of the same letters by chance. Words of fewer than
    `SHORTEST_EDITED` letters are only corrected by swaps; `COMMON` words, and those of fewer than `SHORTEST_SWAPPED`
    letters, are never corrected.

    Args:
        words: string[b], each without its space.
        letters: string[l], the letters to insert or replace by.
        table: From pieces to ids, with one id for all unknown pieces.

    Returns:
        int64[b], ids of pieces; -1 if the vocabulary has no such word, or more than one.
    """
    lengths = tf.strings.length(words, "UTF8_CHAR")[:, None]
    # Two positions past the longest word, so that every position has two after it; they are clamped to the word's end.
    places = tf.minimum(tf.range(tf.reduce_max(lengths) + 3), lengths)
    ends = tf.broadcast_to(lengths, tf.shape(places))
    before = SPACE + tf.strings.substr(words[:, None], tf.zeros_like(places), places, "UTF8_CHAR")[:, :-2]
    after = tf.strings.substr(words[:, None], places, ends, "UTF8_CHAR")
    letter = tf.strings.substr(after, 0, 1, "UTF8_CHAR")
    swapped = table.lookup(before + letter[:, 1:-1] + letter[:, :-2] + after[:, 2:])
    begun = before[:, :, None] + letters
    longer = [table.lookup(begun + rest[:, :, None]) for rest in (after[:, :-2], after[:, 1:-1])]
    edited = [table.lookup(before + after[:, 1:-1]), *(tf.reshape(ids, [tf.size(words), -1]) for ids in longer)]
    lengths = tf.where(tf.reduce_any(words[:, None] == sorted(COMMON), axis=1, keepdims=True), 0, lengths)
    swaps = tf.where((swapped < table.size() - 1) & (lengths >= SHORTEST_SWAPPED), swapped, NONE)
    others = tf.concat([swaps, *edited], axis=1)
    others = tf.where((others < table.size() - 1) & (lengths >= SHORTEST_EDITED), others, NONE)
    by_swap = the_only(swaps)
    return tf.where(by_swap == NONE, the_only(others), by_swap)


def the_only(ids_BxN: tf.Tensor) -> tf.Tensor:
    """The only id of each row that is not NONE, int64[b]; NONE if there is no such id, or more than one."""
    last = tf.reduce_max(ids_BxN, axis=1)
    first = tf.reduce_min(tf.where(ids_BxN == NONE, last[:, None], ids_BxN), axis=1)
    return tf.where(first == last, last, tf.constant(NONE, tf.int64))
