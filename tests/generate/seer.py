"""A stand-in for a model that sees: fills in the form of each step from the prompt alone, the same way every time."""

import json
import random
import re
from typing import Any

THINGS = ("kettle", "window", "ladder", "violin", "basket", "lantern", "trumpet", "saddle", "anchor", "compass")


def reply(request: dict[str, Any]) -> str:
    """The content of a reply to a request, good in form and by the rules."""
    texts = [_text(message) for message in request["messages"]]
    asked = next(_text(message) for message in request["messages"] if message["role"] == "user")
    prompt = "\n".join(texts)
    rng = random.Random(json.dumps(request["messages"][-1], sort_keys=True))
    for step, opening in OPENINGS.items():
        if opening in prompt:
            return json.dumps(_ANSWERS[step](asked, rng))
    return "I cannot help with that."


def _text(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _elements(asked: str, rng: random.Random) -> dict[str, Any]:
    names = rng.sample(THINGS, rng.randint(3, 6))
    return {
        "elements": [{"name": n, "text": "Brown, to the left.", "number": None, "caption": "It stands."} for n in names]
    }


def _question(asked: str, rng: random.Random) -> dict[str, Any]:
    return {"question": f"Which of these would help most on day {rng.randint(1, 99)} of a long journey?"}


def _score(asked: str, rng: random.Random) -> dict[str, Any]:
    return {"reason": "It leads there.", "score": 1 if rng.random() < 0.1 else 3}


def _tree(asked: str, rng: random.Random) -> dict[str, Any]:
    paths = re.findall(r"^(Path \d):", asked, re.MULTILINE)
    step = {
        "path_description": "It narrows.",
        "reasoning_question": "What stands out?",
        "reasoning_answer": "The shape.",
    }
    shared = {
        "node_name": "start", "parent": "scene",
        "overlap": f"Overlap of {' and '.join(paths)}" if len(paths) > 1 else f"{paths[0]} Independent",
        "reasoning_paths": [{"path_name": path, **step} for path in paths],
    }  # fmt: skip
    ends, parent = [], "start"
    for path in paths:
        node = {"node_name": f"end of {path}", "parent": parent, "overlap": f"{path} Independent"}
        ends.append({**node, "reasoning_paths": [{"path_name": path, **step}]})
    if len(paths) > 3:  # a node has three children at most, so the last path begins at the root
        shared["overlap"] = f"Overlap of {' and '.join(paths[:3])}"
        shared["reasoning_paths"] = shared["reasoning_paths"][:3]
        ends[3]["parent"] = "other start"
        other = {"node_name": "other start", "parent": "scene", "overlap": f"{paths[3]} Independent"}
        ends.insert(3, {**other, "reasoning_paths": [{"path_name": paths[3], **step}]})
    return {"root_node": "scene", "inference_nodes": [shared, *ends]}


def _dialogue(asked: str, rng: random.Random) -> dict[str, Any]:
    target = re.search(r"^The target: (.*)$", asked, re.MULTILINE)[1]  # type: ignore[index]
    count = rng.randint(3, 7)
    rounds = [
        {"question": f"What comes next, at step {i}?", "answer": f"Something of use, number {i}."} for i in range(count)
    ]
    return {"rounds": [*rounds, {"question": "Please mark it.", "answer": ""}], "focus": f"the brown {target}"}


def _feedback(asked: str, rng: random.Random) -> dict[str, Any]:
    rounds = len(re.findall(r"^\d\. Person:", asked, re.MULTILINE))
    if rng.random() < 0.1:
        return {"wrong": ["It is not brown."], "drop": [], "verdict": "repair"}
    if rng.random() < 0.05:
        return {"wrong": ["It is not there."], "drop": [], "verdict": "reject"}
    return {"wrong": [], "drop": [2] if rounds == 8 else [], "verdict": "accept"}


OPENINGS = {
    "elements": "You look at one photo and list",
    "question": "You write a question about a photo",
    "score": "You judge questions about a photo",
    "tree": "You lay out how one reasons",
    "dialogue": "You write a conversation about a photo",
    "feedback": "You check a conversation about a photo",
}
_ANSWERS = {
    "elements": _elements,
    "question": _question,
    "score": _score,
    "tree": _tree,
    "dialogue": _dialogue,
    "feedback": _feedback,
}
