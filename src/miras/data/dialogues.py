"""True dialogues from annotated photos, without a language model: seeded, fast, pixels never opened.

- `multi_turn` reasons towards one target over 3 to 7 turns, then marks it.
- `direct` is one request that names its target, `several` one request for two to four targets.
- `chat` holds questions and answers without masks, `quiz` many that have a short answer.
- `mixed` holds chat with requests in between, so that masks come at any turn.
- `unclear` points back although nothing was said, and is asked what is meant.

`multi_turn` lives in `reasoning`, `question` and what belongs to it in `questions`; both can be had from here too.
"""

import numpy as np

from miras.data.clues import is_group, same_region
from miras.data.facts import fact
from miras.data.habits import Habits
from miras.data.photos import Photo, PhotoObject
from miras.data.phrasing import forms, listing, number, pick, say
from miras.data.questions import Question as Question
from miras.data.questions import QuestionKind, Vocabulary, absent_name, ask, ask_several, question
from miras.data.questions import read_answer as read_answer
from miras.data.questions import vocabulary as vocabulary
from miras.data.reasoning import Pair, marked, talk
from miras.data.reasoning import multi_turn as multi_turn
from miras.errors import DialogueError
from miras.types import Dialogue, Target

__all__ = ["chat", "direct", "mixed", "quiz", "several", "unclear"]

_BARE = 0.12
"""Share of direct requests that are no more than the name."""
_ABSENT = 0.08
"""Share of the turns of `mixed` that ask for something that is not there: taught more often, refusals spread."""
_LISTED = 5
"""Most things that a description lists."""
_QUIZ = 8
"""Most questions of a quiz."""
_QUESTIONS: dict[str, QuestionKind] = {"objects": "objects", "colors": "colors", "places": "places"}
_CHAT = ("objects", "objects", "colors", "places", "about", "counts")


def direct(photo: Photo, target: PhotoObject, rng: np.random.Generator) -> Dialogue:
    """One request that names the target, answered with its mask."""
    pair = _direct(target, rng)
    return Dialogue(
        talk([pair]),
        (Target(target.phrase, target.mask, target.color),),
        image=photo.name,
        focus=target.phrase,
        kind="direct",
        meta={"source": photo.source, "class": target.class_name, "size": target.size},
    )


def several(photo: Photo, targets: tuple[PhotoObject, ...], rng: np.random.Generator) -> Dialogue:
    """One request for two to four targets, answered with one mask each, in the order asked."""
    if not 2 <= len(targets) <= 4:
        raise DialogueError(f"one request names 2 to 4 targets, got {len(targets)}; use direct for a single one")
    asked = say("several_q", rng, {"list": listing([_slots(target)["the"] for target in targets])})
    answered = say("several_a", rng, {"list": listing([marked(target, rng) for target in targets])})
    return Dialogue(
        talk([(_sure(asked), _sure(answered))]),
        tuple(Target(target.phrase, target.mask, target.color) for target in targets),
        image=photo.name,
        focus=listing([target.phrase for target in targets]),
        kind="several",
        meta={
            "source": photo.source,
            "class": tuple(target.class_name for target in targets),
            "size": tuple(target.size for target in targets),
        },
    )


def chat(photo: Photo, rng: np.random.Generator, vocabulary: Vocabulary) -> Dialogue:
    """Two to five questions about the photo, answered in words alone."""
    length = 2 + int(rng.random() * 4)
    pairs: list[Pair] = []
    if rng.random() < 0.45:
        pairs.append(_talk_about("describe", photo, rng, vocabulary))
    if rng.random() < 0.08:
        pairs.insert(0, _talk_about("help", photo, rng, vocabulary))
    close = [_talk_about("thanks", photo, rng, vocabulary)] if length > 2 and rng.random() < 0.1 else []
    while len(pairs) + len(close) < length:
        pairs.append(_chat(photo, rng, vocabulary, pairs))
    return Dialogue(talk([*pairs, *close]), image=photo.name, kind="chat", meta={"source": photo.source})


def quiz(
    photo: Photo,
    rng: np.random.Generator,
    vocabulary: Vocabulary,
    *,
    presence: bool = True,
    habits: Habits | None = None,
) -> Dialogue | None:
    """Up to eight questions that have a short answer, and two about several things at once; None with nothing to ask.

    None is answered by one before. Without `presence` it asks for colours and places alone, which stay true of a
    part cut out of a photo; `habits` are as in `question`.
    """
    kinds = [kind for kind in _QUESTIONS.values() if presence or kind != "objects"]
    steps = ["one"] * _QUIZ + ["colors", "places"]
    pairs: list[Pair] = []
    told: list[tuple[str, str]] = []  # kind of question, phrase
    for step in (steps[index] for index in rng.permutation(len(steps))):
        if step == "one":
            found = question(photo, pick(rng, kinds), rng, vocabulary, habits)
            new = found and not any(found.about == about and found.kind in (kind, "objects") for kind, about in told)
            if found and new:
                pairs.append((found.text, found.short))
                told.append((found.kind, found.about))
        elif listed := ask_several(photo, _QUESTIONS[step], rng, [about for kind, about in told if kind == step]):
            pairs.append((listed[0], listed[1]))
            told += [(step, about) for about in listed[2]]
    if not pairs:
        return None
    return Dialogue(talk(pairs), image=photo.name, kind="quiz", meta={"source": photo.source})


def mixed(photo: Photo, rng: np.random.Generator, vocabulary: Vocabulary) -> Dialogue:
    """Text turns and masks in any order: chat, requests by name, requests that point back, things not there."""
    usual = ("chat", "direct", "again")
    steps = ["absent" if rng.random() < _ABSENT else pick(rng, usual) for _ in range(1 + int(rng.random() * 3))]
    steps += ["chat", "direct" if rng.random() < 0.5 else "again"]
    pairs: list[Pair] = []
    targets: list[PhotoObject] = []
    for step in (steps[index] for index in rng.permutation(len(steps))):
        left = [o for o in photo.objects if not any(same_region(o, done) for done in targets)]
        gone = _absent(photo, rng, vocabulary) if step == "absent" else None
        if gone:
            pairs.append(gone)
        elif step in ("chat", "absent") or not left:
            pairs.append(_chat(photo, rng, vocabulary, pairs))
        else:
            targets.append(pick(rng, left))
            pairs += [_direct(targets[-1], rng)] if step == "direct" else _again(targets[-1], rng)
    return Dialogue(
        talk(pairs),
        tuple(Target(target.phrase, target.mask, target.color) for target in targets),
        image=photo.name,
        focus=listing([target.phrase for target in targets]),
        kind="mixed",
        meta={"source": photo.source, "class": tuple(target.class_name for target in targets)},
    )


def unclear(photo: Photo, target: PhotoObject, rng: np.random.Generator) -> Dialogue:
    """A request that points back to nothing, a question what is meant, and then a request that names the target."""
    lost = (_sure(say("request", rng)), _sure(say("unclear_a", rng)))
    return Dialogue(
        talk([lost, _direct(target, rng)]),
        (Target(target.phrase, target.mask, target.color),),
        image=photo.name,
        focus=target.phrase,
        kind="unclear",
        meta={"source": photo.source, "class": target.class_name, "size": target.size},
    )


def _sure(text: str | None) -> str:
    """The text of a template that takes any filling."""
    if text is None:
        raise DialogueError("a template that takes any filling gave no text; check phrasing/*.yaml for empty lines")
    return text


def _slots(target: PhotoObject) -> dict[str, str]:
    return dict(forms(target.phrase, target.class_name, target.count if is_group(target) else 1))


def _direct(target: PhotoObject, rng: np.random.Generator) -> Pair:
    slots = _slots(target)
    if rng.random() < _BARE:
        # a bare name is typed as it comes, so the capital that `say` sets is taken back
        asked = _sure(say("direct_bare", rng, slots))
        asked = asked if asked.startswith(target.phrase) else asked[0].lower() + asked[1:]
    else:
        asked = _sure(say("direct_q", rng, slots))
    return asked, _sure(say("direct_a", rng, {**slots, "marked": marked(target, rng)}))


def _again(target: PhotoObject, rng: np.random.Generator) -> list[Pair]:
    """A question about the target, then a request that only points back to it."""
    found = ask(target, "colors" if rng.random() < 0.5 else "places", rng)
    first = (found.text, found.reply) if found else _about(target, rng)
    return [first, (_sure(say("again_q", rng)), _sure(say("reply", rng, {"marked": marked(target, rng)})))]


def _absent(photo: Photo, rng: np.random.Generator, vocabulary: Vocabulary) -> Pair | None:
    """A request for something that is not there and its polite refusal."""
    name = absent_name(photo, vocabulary, rng)
    if name is None:
        return None
    slots = forms(name, name)
    return _sure(say("direct_q", rng, slots)), _sure(say("absent_a", rng, slots))


def _chat(photo: Photo, rng: np.random.Generator, vocabulary: Vocabulary, told: list[Pair]) -> Pair:
    """A question that was not yet answered in the same words, and its answer."""
    for _ in range(6):
        pair = _talk_about(pick(rng, _CHAT), photo, rng, vocabulary)
        if all(pair[0] != asked and pair[1] != answered for asked, answered in told):
            return pair
    return _talk_about("describe", photo, rng, vocabulary)


def _talk_about(topic: str, photo: Photo, rng: np.random.Generator, vocabulary: Vocabulary) -> Pair:
    if not photo.objects or topic in ("help", "thanks"):
        topic = "thanks" if topic == "thanks" else "help"
        return _sure(say(f"{topic}_q", rng)), _sure(say(f"{topic}_a", rng))
    if topic == "describe":
        return _sure(say("describe_q", rng)), _sure(say("describe_a", rng, {"list": _contents(photo)}))
    if topic == "counts":
        groups = [(o, o.count) for o in photo.objects if is_group(o) and o.count and not fact(o.class_name).mass]
        if groups:
            group, count = pick(rng, groups)
            slots = {**_slots(group), "number": number(count)}
            return _sure(say("counts_q", rng, slots)), _sure(say("counts_a", rng, slots))
    if topic in _QUESTIONS and (found := question(photo, _QUESTIONS[topic], rng, vocabulary)):
        return found.text, found.reply
    return _about(pick(rng, photo.objects), rng)


def _about(target: PhotoObject, rng: np.random.Generator) -> Pair:
    known = fact(target.class_name)
    slots = {**_slots(target), "kind": known.kind, "clue": pick(rng, known.clues), "where": known.where}
    return _sure(say("about_q", rng, slots)), _sure(say("about_a", rng, slots))


def _contents(photo: Photo) -> str:
    """Everything annotated, once each, the largest first: `a car, two wheels and a hood`."""
    names: dict[str, str] = {}
    shown: list[PhotoObject] = []
    for target in sorted(photo.objects, key=lambda o: (not is_group(o), -o.area, -len(o.phrase))):
        if target.class_name not in names and not any(same_region(target, other) for other in shown):
            shown.append(target)
            names[target.class_name] = _slots(target)["some"]
    return listing(list(names.values())[:_LISTED])
