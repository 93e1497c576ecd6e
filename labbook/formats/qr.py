"""QR codes as SVG: dark on white with a quiet zone, whatever the page around it looks like."""

from __future__ import annotations

from io import BytesIO

import segno


def svg(text: str) -> bytes:
    """A quarter of the code may be scratched or dirty and it still reads."""
    out = BytesIO()
    segno.make(text, error="q", micro=False).save(
        out, kind="svg", border=4, dark="#000", light="#fff", xmldecl=False, omitsize=True, nl=False
    )
    return out.getvalue()


def data_uri(text: str) -> str:
    """The same for an image's address, where the text is a secret that must not stand in one."""
    made: str = segno.make(text, error="m", micro=False).svg_data_uri(
        border=4, dark="#000", light="#fff", omitsize=True
    )
    return made
