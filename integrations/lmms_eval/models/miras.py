"""MIRAS as a chat model of lmms-eval: one session per conversation, its masks written behind its text.

Copy this file to lmms_eval/models/chat/miras.py and add `"miras": "Miras"` to AVAILABLE_CHAT_TEMPLATE_MODELS in
lmms_eval/models/__init__.py. It needs `pip install miras` in the environment of lmms-eval.
"""

import json

from lmms_eval.api.instance import GenerationResult
from lmms_eval.api.model import lmms
from lmms_eval.api.registry import register_model
from lmms_eval.protocol import ChatMessages
from tqdm import tqdm

import miras
from miras.errors import SessionError


@register_model("miras")
class Miras(lmms):
    """A preset's name or a folder that save_pretrained wrote, as `--model_args pretrained=nano`."""

    is_simple = False

    def __init__(self, pretrained="nano", device=None, batch_size=1, **kwargs):
        super().__init__()
        if int(batch_size) != 1:
            raise ValueError(f"miras answers one conversation at a time, got batch_size {batch_size}; leave it at 1")
        self._model = miras.Miras.from_pretrained(pretrained, merge_lora=True)
        if device is not None:
            self._model = self._model.to(device)

    def generate_until(self, requests):
        """One reply to each request; earlier turns in its messages are the history."""
        replies = []
        for request in tqdm(requests, disable=self.rank != 0, desc="Model Responding"):
            _, doc_to_messages, _, doc_id, task, split = request.args
            session, question = self._open(doc_to_messages(self.task_dict[task][split][doc_id]))
            replies.append(GenerationResult(text=_ask(session, question)))
        return replies

    def generate_until_multi_round(self, requests):
        """The replies to all rounds of each request, in one session that keeps what it said itself."""
        replies = []
        for request in tqdm(requests, disable=self.rank != 0, desc="Multi-round Responding"):
            _, doc_to_messages, _, doc_id, task, split = request.args
            doc = self.task_dict[task][split][doc_id]
            session, question = self._open(doc_to_messages(doc))
            rounds, info = [_ask(session, question)], None
            while True:
                messages, ended, _, info = doc_to_messages(
                    doc, round_idx=len(rounds), previous_output=list(rounds), previous_round_info=info
                )
                if ended:
                    break
                rounds.append(_ask(session, _text(ChatMessages(messages=messages).messages[-1])))
            replies.append(rounds)
        return replies

    def loglikelihood(self, requests):
        """Not offered: MIRAS answers, it does not rate answers."""
        raise NotImplementedError("miras gives no log-likelihoods; take tasks of the type generate_until")

    def _open(self, messages):
        """A session about the image of the messages, with their earlier turns, and the question that is open."""
        chat = ChatMessages(messages=messages)
        images, _, _ = chat.extract_media()
        if len(images) != 1:
            raise ValueError(f"miras talks about one image, got {len(images)}; give the folder that holds the images")
        talk = [message for message in chat.messages if message.role != "system"]
        session = self._model.session(images[0])
        for asked, said in zip(talk[0:-1:2], talk[1::2], strict=True):
            session.force(_text(asked), _text(said))
        return session, _text(talk[-1])


def _text(message):
    return "\n".join(part.text for part in message.content if part.type == "text")


def _ask(session, question):
    """The reply's text with its masks behind it; empty where the session refuses the question."""
    try:
        reply = session.ask(question)
    except SessionError:
        return ""
    marks = reply.to_json()["targets"]
    return reply.text + (f"<masks>{json.dumps(marks)}</masks>" if marks else "")
