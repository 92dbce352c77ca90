"""A page of conversations with their masks: one HTML file beside its pictures, made from the JSON record."""

from pathlib import Path

from miras.files import write_text
from miras.pages.html import answer, counted, link, page, tone, words
from miras.serve.record import Exchange, MarkedTarget, TalkRecord, read_record

__all__ = ["write_gallery"]


def write_gallery(record: Path) -> Path:
    """Writes `index.html` beside a JSON record and returns its path. Raises DataError when the record is not one."""
    known = read_record(record)
    talks = "\n".join(_talk(talk) for talk in known.conversations)
    seconds = sum(talk.seconds for talk in known.conversations)
    masks = sum(len(exchange.targets) for talk in known.conversations for exchange in talk.exchanges)
    header = f"""<h1>MIRAS</h1>
<p>{words(known.model)}: {counted(len(known.conversations), "conversation")}, {counted(masks, "mask")}, \
{seconds:.1f} s of answers. Every word and mask is the model's own.</p>"""
    footer = f'Texts, masks and confidences are also in <a href="{link(record.name)}">{words(record.name)}</a>.'
    whole = page("MIRAS: conversations that end in a mask", header, talks, footer)
    return write_text(record.with_name("index.html"), whole)


def _talk(talk: TalkRecord) -> str:
    height, width = talk.size
    lines = "\n".join(_exchange(exchange, talk.size) for exchange in talk.exchanges)
    if not any(exchange.targets for exchange in talk.exchanges):
        lines += '\n<li class="time">No mask in this conversation.</li>'
    return f"""<article>
<div class="photo">
<h2>{words(talk.title)}</h2>
<figure>
<img src="{link(talk.photo)}" width="{width}" height="{height}" alt="The photo of this conversation" />
<figcaption>{words(talk.credit)}</figcaption>
</figure>
</div>
<ol>
{lines}
</ol>
</article>"""


def _exchange(exchange: Exchange, size: tuple[int, int]) -> str:
    figures = "\n".join(_figure(target, size, tone(index)) for index, target in enumerate(exchange.targets))
    return f"""<li class="you">{words(exchange.question)}</li>
<li class="model">{answer(exchange.answer)}</li>
<li class="time">{exchange.seconds:.1f} s</li>
{figures}"""


def _figure(target: MarkedTarget, size: tuple[int, int], color: str) -> str:
    height, width = size
    phrase = words(target.phrase) or "unnamed"
    area = f"{target.share:.1%}".replace("%", " %") if target.share else "nothing, an empty mask: 0 %"
    return f"""<li class="mask">
<figure>
<img src="{link(target.overlay)}" width="{width}" height="{height}" alt="Marked: {phrase}" />
<figcaption><span class="dot" style="--tone: {color}"></span><b>{phrase}</b> covers {area} of the image, confidence \
{target.score:.2f} · <a href="{link(target.mask_image)}">mask</a></figcaption>
</figure>
</li>"""
