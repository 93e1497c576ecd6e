"""Organisations: the boundary of confidentiality."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from labbook.models.base import Base, Key

KINDS = ("company", "university", "institute", "public")


class Organisation(Base):
    """A company, university, public body or research institute.

    ``bookable_categories`` is None for "all"; ``may_book_until`` is None for "without end".
    """

    __tablename__ = "organisations"
    __table_args__ = (CheckConstraint("kind IN ('company','university','institute','public')", name="kind"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    kind: Mapped[str]
    bookable_categories: Mapped[list[str] | None]
    may_book_until: Mapped[date | None]
    created_at: Mapped[datetime]
