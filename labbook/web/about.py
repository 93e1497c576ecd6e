"""What the law and courtesy ask for."""

from __future__ import annotations

from flask import render_template

from labbook.web.page import page_blueprint, public

blueprint = page_blueprint("about")


@blueprint.get("/accessibility")
@public
def accessibility() -> str:
    return render_template("about/accessibility.html")


@blueprint.get("/privacy")
@public
def privacy() -> str:
    return render_template("about/privacy.html")
