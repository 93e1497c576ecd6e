"""How mail leaves: over SMTP, or as files where no server is named."""

from __future__ import annotations

import ipaddress
import os
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

TIMEOUT_SECONDS = 10
_ANSWER_LIMIT = 200


@dataclass(frozen=True)
class Office:
    """Where links lead, and who writes."""

    base_url: str
    sender: str


class Undeliverable(Exception):
    """The peer refused this message for good; ``answer`` is what it said."""

    def __init__(self, said: str, answer: str = "") -> None:
        super().__init__(said)
        self.answer = answer


class NotNow(OSError):
    """The peer takes mail, but not this message for the moment."""


class Carrier(Protocol):
    """Takes messages one by one.

    Raises ``Undeliverable``, ``NotNow``, or another ``OSError`` when nobody answers.
    """

    def send(self, message: EmailMessage) -> None: ...


class Folder:
    """Writes each message to a file named by its Message-ID, so that sending again adds nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def send(self, message: EmailMessage) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        name = str(message["Message-ID"]).strip("<>").partition("@")[0]
        stamp = message["Date"].datetime.strftime("%Y%m%dT%H%M%S")
        fresh = self.path / f".{name}.{os.getpid()}"
        fresh.touch(mode=0o600)  # it may hold a link that opens an account
        fresh.write_bytes(bytes(message))
        fresh.replace(self.path / f"{stamp}-{name}.eml")


class Smtp:
    """One connection, opened for the first message and kept for the rest of a batch."""

    def __init__(self, url: str) -> None:
        self.url = urlsplit(url)
        self._connection: smtplib.SMTP | None = None

    def send(self, message: EmailMessage) -> None:
        try:
            self._connected().send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            code, answer = next(iter(error.recipients.values()))
            self._reset()
            raise _refusal("the recipient was refused", code, answer) from error
        except smtplib.SMTPDataError as error:
            self._reset()
            raise _refusal("the message was refused", error.smtp_code, error.smtp_error) from error
        except OSError:  # smtplib's errors are among them
            self.close()
            raise

    def close(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.quit()
            self._connection = None

    def _reset(self) -> None:
        """Ready for the next message of the batch."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection.rset()

    def _connected(self) -> smtplib.SMTP:
        if self._connection is None:
            host, secure = self.url.hostname or "localhost", self.url.scheme == "smtps"
            if secure:
                context = ssl.create_default_context()
                made: smtplib.SMTP = smtplib.SMTP_SSL(
                    host, self.url.port or 465, timeout=TIMEOUT_SECONDS, context=context
                )
            else:
                made = smtplib.SMTP(host, self.url.port or 25, timeout=TIMEOUT_SECONDS)
            self._connection = made
            self._greet(made, secure)
        return self._connection

    def _greet(self, made: smtplib.SMTP, secure: bool) -> None:
        made.ehlo()
        if not secure and made.has_extn("starttls"):
            made.starttls(context=ssl.create_default_context())
            made.ehlo()
            secure = True
        if self.url.username and not (secure or _is_this_machine(self.url.hostname or "localhost")):
            raise smtplib.SMTPNotSupportedError("no STARTTLS: the password would be sent in clear")
        if self.url.username:
            made.login(unquote(self.url.username), unquote(self.url.password or ""))


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refusal(what: str, code: int, answer: bytes | str) -> Exception:
    """A code of 500 and above is final, one of 400 and above is not."""
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    printable = "".join(c if c.isprintable() else " " for c in text)
    words = f"{code} {' '.join(printable.split())}"[:_ANSWER_LIMIT].strip()
    said = f"{what} ({words})"
    return Undeliverable(said, words) if code >= 500 else NotNow(said)


@contextmanager
def carrier(mail_url: str | None, folder: Path) -> Iterator[Carrier]:
    """The way that the settings name; whatever it opened is closed at the end."""
    if mail_url is None:
        yield Folder(folder)
        return
    smtp = Smtp(mail_url)
    try:
        yield smtp
    finally:
        smtp.close()
