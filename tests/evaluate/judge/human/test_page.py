"""The experts' page in a browser: one question at a time, and a saved file that can be read."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
from tests.evaluate.judge.human.returned import saved
from tests.evaluate.judge.planted import MakeRun, hand_made

from miras.evaluate.cases import read_cases
from miras.evaluate.judge.human.answers import read_answers
from miras.evaluate.judge.human.export import export

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")]

_DRIVE = """<script>
const seen = [];
const asked = () => [...document.querySelectorAll("#rounds .you")].map((one) => one.textContent);
const say = (text) => {
  at("answer").value = text;
  at("answer").dispatchEvent(new Event("input"));
  at("next").click();
};
seen.push(at("next").disabled, asked());
say("  ");
seen.push(asked());
say("One <b>answer</b>,\\nwith a \\"line\\".");
seen.push(asked());
const half = kept();
while (current() >= 0) say("So it is.");
const whole = kept();
take(half); show();
seen.push(asked());
let wrong = "";
try { take(whole.replace("expert 1", "expert 2")); } catch (error) { wrong = error.message; }
take(whole); show();
const out = document.createElement("pre");
out.id = "out";
const [done, bar] = [!at("done").hidden, at("progress").textContent];
out.textContent = JSON.stringify({ seen, half, whole, wrong, done, bar });
document.body.append(out);
</script></body>"""


def test_it_is_answered_turn_by_turn(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("true", hand_made(5))
    export(run / "cases.jsonl", tmp_path / "people", count=3, experts=1)
    page = tmp_path / "people" / "send" / "expert-1.html"
    driven = tmp_path / "driven.html"
    driven.write_text(page.read_text(encoding="utf-8").replace("</body>", _DRIVE), encoding="utf-8")
    words = ["chromium", "--headless", "--no-sandbox", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    done = subprocess.run([*words, driven.as_uri()], capture_output=True, text=True, timeout=100, check=True)
    match = re.search(r'<pre id="out">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match, done.stdout[-2000:]
    found = json.loads(unescape(match[1]))
    cases = read_cases(tmp_path / "people" / "cases.jsonl")
    first, second = cases[0].dialogue.questions[:2]
    assert found["seen"] == [True, [first], [first], [first, second], [first, second]]
    assert found["done"] and found["bar"] == "3 of 3 conversations are answered" and "for expert 1" in found["wrong"]
    half = read_answers(saved(tmp_path / "half.jsonl", found["half"].splitlines()), cases)
    assert len(half.remarks) == 2 and not half.answers
    whole = read_answers(saved(tmp_path / "whole.jsonl", found["whole"].splitlines()), cases)
    assert not whole.remarks and whole.expert == "expert 1"
    assert whole.answers[cases[0].id][0] == 'One <b>answer</b>,\nwith a "line".'
