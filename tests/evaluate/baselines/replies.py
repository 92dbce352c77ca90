"""Replies to the prompt for a box, in the manners of many models, and what each means.

The box is (12, 34), (56, 78) unless another is named; `P` marks a box in percent, a text after it is its label.
"""

from miras.evaluate.baselines.boxes import Box, Found

__all__ = ["REPLIES"]

ONE = Found("box", (Box((12, 34, 56, 78)),))
NONE = Found("none")
LOST = Found("unreadable")
UNIT = Found("box", (Box((0.12, 0.34, 0.56, 0.78)),))
PERCENT = Found("box", (Box((12, 34, 56, 78), percent=True),))


def _named(label: str) -> Found:
    return Found("box", (Box((12, 34, 56, 78), label),))


def _two(first: str = "", second: str = "") -> Found:
    return Found("several", (Box((12, 34, 56, 78), first), Box((1, 2, 3, 4), second)))


REPLIES: list[tuple[str, Found]] = [
    # the form that is asked for, and small changes to it
    ("<box>(12, 34), (56, 78)</box> ", ONE),
    ("<box>(12,34),(56,78)</box>", ONE),
    ("<box>(12, 34),(56, 78)</box>.", ONE),
    ("<box> ( 12 , 34 ) , ( 56 , 78 ) </box>", ONE),
    ("<BOX>(12, 34), (56, 78)</BOX>", ONE),
    ("< box >(12, 34), (56, 78)< / box >", ONE),
    ("<bbox>(12, 34), (56, 78)</bbox>", ONE),
    ("The wheel is here: <box>(12, 34), (56, 78)</box>. It has 5 spokes.", ONE),
    ("`<box>(12, 34), (56, 78)</box>`", ONE),
    ("**<box>(12, 34), (56, 78)</box>**", ONE),
    ("```\n<box>(12, 34), (56, 78)</box>\n```", ONE),
    ("&lt;box&gt;(12, 34), (56, 78)&lt;/box&gt;", ONE),
    ("\\<box\\>(12, 34), (56, 78)\\</box\\>", ONE),
    ("<think>Perhaps [1, 2, 3, 4]? No.</think>\n<box>(12, 34), (56, 78)</box>", ONE),
    ("I see 2 dogs in [1, 2, 3, 4] light. <box>(12, 34), (56, 78)</box>", ONE),
    ("<box>(12, 34), (56, 78)", ONE),
    ("<box>(12, 34), (56, 78)<box>", ONE),
    ("(12, 34), (56, 78)</box>", ONE),
    # other forms inside the tag
    ("<box>12, 34, 56, 78</box>", ONE),
    ("<box>12 34 56 78</box>", ONE),
    ("<box>[12, 34, 56, 78]</box>", ONE),
    ("<box>[[12, 34, 56, 78]]</box>", ONE),
    ("<box>(12, 34, 56, 78)</box>", ONE),
    ("<box>[12, 34], [56, 78]</box>", ONE),
    ("<box>(12px, 34px), (56px, 78px)</box>", ONE),
    ("<box>(12, 34) to (56, 78)</box>", ONE),
    ("<box>x1=12, y1=34, x2=56, y2=78</box>", ONE),
    ("<box>(x1, y1) = (12, 34), (x2, y2) = (56, 78)</box>", ONE),
    ("<|box_start|>(12,34),(56,78)<|box_end|>", ONE),
    ("<|object_ref_start|>left wheel<|object_ref_end|><|box_start|>(12,34),(56,78)<|box_end|><|im_end|>",
     _named("left wheel")),
    ("<ref>left wheel</ref><box>[[12, 34, 56, 78]]</box>", _named("left wheel")),
    ("<box>（12，34），（56，78）</box>", ONE),
    ("＜box＞（１２，３４）、（５６，７８）＜/box＞", ONE),
    # no tag at all
    ("(12, 34), (56, 78)", ONE),
    ("[12, 34, 56, 78]", ONE),
    ("[[12, 34], [56, 78]]", ONE),
    ("12, 34, 56, 78", ONE),
    ("12 34 56 78", ONE),
    ("Bounding box: 12, 34, 56, 78", ONE),
    ("Top-left corner: (12, 34)\nBottom-right corner: (56, 78)", ONE),
    ("- Top-left (x1, y1): (12, 34)\n- Bottom-right (x2, y2): (56, 78)", ONE),
    ("The box goes from (12, 34) to (56, 78).", ONE),
    ("\\boxed{(12, 34), (56, 78)}", ONE),
    ("\\[ [12, 34, 56, 78] \\]", ONE),
    ("x: 12, y: 34, width: 44, height: 44", ONE),
    ("left: 12, top: 34, right: 56, bottom: 78", ONE),
    ("xmin=12 xmax=56 ymin=34 ymax=78", ONE),
    # JSON
    ('{"bbox_2d": [12, 34, 56, 78]}', ONE),
    ('```json\n[\n  {"bbox_2d": [12, 34, 56, 78], "label": "Left wheel"}\n]\n```', _named("Left wheel")),
    ('{"label": "left wheel", "box": [12.0, 34.0, 56.0, 78.0]}', _named("left wheel")),
    ('{"box_2d": [34, 12, 78, 56], "label": "left wheel"}', _named("left wheel")),  # height first
    ('{"x1": 12, "y1": 34, "x2": 56, "y2": 78}', ONE),
    ('{"x_min": 12, "y_min": 34, "x_max": 56, "y_max": 78, "label": "left wheel"}', _named("left wheel")),
    ("{'bbox': [12, 34, 56, 78]}", ONE),
    ('[{"bbox_2d": [12, 34, 56, 78], "label": "a"}, {"bbox_2d": [1, 2, 3, 4], "label": "b"}]', _two("a", "b")),
    # other numbers
    ("<box>(0.12, 0.34), (0.56, 0.78)</box>", UNIT),
    ("<box>(.12, .34), (.56, .78)</box>", UNIT),
    ("[0.12, 0.34, 0.56, 0.78]", UNIT),
    ("<box>(12%, 34%), (56%, 78%)</box>", PERCENT),
    ("<box>(12 %, 34 %), (56 %, 78 %)</box>", PERCENT),
    ("x: 12%, y: 34%, width: 44%, height: 44%", PERCENT),
    ("<box>(12.0, 34.0), (56.0, 78.0)</box>", ONE),
    ("<box>(1.2e1, 34), (56, 7.8e1)</box>", ONE),
    ("<box>(56, 78), (12, 34)</box>", ONE),
    ("<box>(56, 34), (12, 78)</box>", ONE),
    ("<box>(-12, 34), (56, 1078)</box>", Found("box", (Box((-12, 34, 56, 1078)),))),
    ("<box>(12, 34), (12, 34)</box>", Found("box", (Box((12, 34, 12, 34)),))),
    # several
    ("<box>(12, 34), (56, 78)</box> and <box>(1, 2), (3, 4)</box>", _two()),
    ("<box>(12, 34), (56, 78)</box><box>(1, 2), (3, 4)</box>", _two()),
    ("1. <box>(12, 34), (56, 78)</box>\n2. <box>(1, 2), (3, 4)</box>", _two()),
    ("<box>(12, 34), (56, 78); (1, 2), (3, 4)</box>", _two()),
    ("<box>[[12, 34, 56, 78], [1, 2, 3, 4]]</box>", _two()),
    ("(12, 34), (56, 78) and (1, 2), (3, 4)", _two()),
    ("<ref>cup</ref><box>(12, 34), (56, 78)</box> on a <ref>plate</ref><box>(1, 2), (3, 4)</box>",
     _two("cup", "plate")),
    ("<box>(12, 34), (56, 78)</box> " * 40, ONE),  # a model that cannot stop
    ("<box>(12, 34), (56, 78)</box>, <box>(1, 2), (3", ONE),  # the reply was cut off
    ("No other wheel is seen. <box>(12, 34), (56, 78)</box>", ONE),
    # none
    ("no detected", NONE),
    ("No detected. ", NONE),
    ('"no detected"', NONE),
    ("<box>no detected</box>", NONE),
    ("Not detected.", NONE),
    ("No focus detected", NONE),
    ("No focus is detected in this image.", NONE),
    ("There is no such object in the photo.", NONE),
    ("Nothing was detected.", NONE),
    ("I cannot find the wheel in this image.", NONE),
    ("I can’t see any wheel.", NONE),
    ("I'm unable to locate it.", NONE),
    ("The wheel isn't visible here.", NONE),
    ("None", NONE),
    ("N/A", NONE),
    ("[]", NONE),
    ("```json\n[]\n```", NONE),
    ("<box></box>", NONE),
    ("未检测到目标。", NONE),
    # nothing that can be read
    ("", LOST),
    ("   ", LOST),
    ("It is the left wheel of the car.", LOST),
    ("I'm sorry, but I can't assist with that.", LOST),
    ("<box>(x1, y1), (x2, y2)</box>", LOST),
    ("<box>(12, 34), (56", LOST),
    ("<box>(12, 34)</box>", LOST),
    ("<box>(12, 34), (56, 78", ONE),  # all four numbers came before the cut
    ("<box>(nan, 34), (56, 78)</box>", LOST),
    ("<box>(NaN, NaN), (NaN, NaN)</box>", LOST),
    ("<box>(12, 34), (Infinity, 78)</box>", LOST),
    ("In 1990 12 people stood on 34 steps, 56 of them wide.", LOST),
    ("The point is (12, 34).", LOST),
]  # fmt: skip
"""(reply, what it says)."""
