"""What a run can be made of: parts to train, sources of samples, groups of public data sets."""

__all__ = ["GROUPS", "OWN", "PARTS", "SOURCES"]

PARTS = {
    "lora": r"language\.lm\..*\.lora_[AB]\.",
    "new_tokens": r"language\.(out_)?rows$",
    "fusion": r"vision\.fusion\.",
    "vision_projector": r"vision\.projector\.",
    "mask_projector": r"mask_projector\.",
    "alignment": r"alignment\.",
    "mask_decoder": r"pixel\.(mask_decoder\.|no_mask$)",
    "pyramid": r"pixel\.pyramid\.",
    **{f"high_stage{n}": rf"vision\.high\.stage{n}\." for n in (4, 8, 16, 32)},
    **{f"low_stage{n}": rf"vision\.low\.stage{n}\." for n in (4, 8, 16, 32)},
}
"""What can be trained: name → pattern of the weights' names, matched from their start. All else stays frozen."""

SOURCES = ("photos", "scenes", "dialogues")
"""What samples are made of: annotated photos, mosaics and pasted cut-outs, conversations about photos."""

OWN = "own"
"""The source that is a user's own JSONL."""

GROUPS = {
    "objects": ["coco", "cocostuff", "ade20k", "mapillary"],
    "regions": ["refclef", "refcoco", "refcoco+", "refcocog", "paco", "pascal_part"],
    "vqa": ["llava_instruct"],
    "captions": ["coco_captions"],
}
"""Public data sets that share a ratio evenly: the paper's four kinds of data (appendix C.2)."""
