"""Alerts by mail: SMTP with STARTTLS, the same words as in Slack.

The Message-ID is made from the alert's key, so that a message that is sent twice is one to most mail readers.
"""

import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import format_datetime

from pydantic import SecretStr

from adapters.messenger import NotDelivered
from adapters.slack import clean, cut
from inventory.alerting.alert_text import AlertText, plain

SUBJECT_MAX = 200
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def mail(text: AlertText, sender: str, to: Sequence[str]) -> EmailMessage:
    """The letter. Nothing from outside can begin a header of its own."""
    letter = EmailMessage()
    letter["Subject"] = cut(f"[onhand {text.severity}] {clean(text.headline)}", SUBJECT_MAX)
    letter["From"] = sender
    letter["To"] = ", ".join(to)
    letter["Date"] = format_datetime(text.at)
    letter["Message-ID"] = f"<{text.key}@onhand.invalid>"
    letter["Auto-Submitted"] = "auto-generated"
    lines = [clean(line) if line.strip() else "" for line in plain(text).splitlines()]
    letter.set_content("\n".join(lines) + "\n")
    return letter


class Mail:
    """One account at one server. Without STARTTLS nothing is sent, except to this machine."""

    pace_s = 0.0

    def __init__(
        self,
        host: str,
        port: int,
        *,
        sender: str,
        to: Sequence[str],
        user: str = "",
        password: SecretStr | None = None,
        timeout_s: float = 15.0,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._host, self._port, self._sender, self._to = host, port, sender, tuple(to)
        self._user, self._password, self._timeout_s = user, password, timeout_s
        self._context = context or ssl.create_default_context()

    def close(self) -> None:
        """Nothing is kept open between letters."""

    def send(self, text: AlertText) -> None:
        """Raises NotDelivered, without what the server said: it may quote an address."""
        letter = mail(text, self._sender, self._to)
        fault: NotDelivered | None = None
        on_its_way = taken = False
        try:
            with smtplib.SMTP(self._host, self._port, timeout=self._timeout_s) as server:
                self._secure(server)
                on_its_way = True
                refused = server.send_message(letter, self._sender, list(self._to))
                taken = True
            if refused:
                fault = NotDelivered(f"the mail server refuses {len(refused)} of the addresses", refused=True)
        except smtplib.SMTPNotSupportedError:
            fault = NotDelivered("the mail server offers no STARTTLS", for_good=True)
        except (smtplib.SMTPException, OSError) as error:
            # A goodbye that fails after the letter was taken is none.
            fault = None if taken else _judge(error, on_its_way)
        # Raised here, outside the except blocks: a chained error would quote what the server said.
        if fault is not None:
            raise fault

    def _secure(self, server: smtplib.SMTP) -> None:
        server.ehlo_or_helo_if_needed()
        if self._host in LOOPBACK and not server.has_extn("starttls"):
            return
        server.starttls(context=self._context)
        server.ehlo_or_helo_if_needed()
        if self._user and self._password is not None:
            server.login(self._user, self._password.get_secret_value())


def _judge(error: Exception, on_its_way: bool) -> NotDelivered:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return NotDelivered(f"the mail server does not let us in ({error.smtp_code})", for_good=error.smtp_code >= 500)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = min((code for code, _ in error.recipients.values()), default=550)
        return NotDelivered(f"the mail server refuses every address ({code})", for_good=code >= 500)
    if isinstance(error, smtplib.SMTPResponseException):
        of_this_letter = isinstance(error, smtplib.SMTPDataError)
        is_final = error.smtp_code >= 500
        why = f"the mail server answered {error.smtp_code}"
        return NotDelivered(why, refused=is_final and of_this_letter, for_good=is_final and not of_this_letter)
    if isinstance(error, ssl.SSLError):
        return NotDelivered(f"the mail server's certificate is not good ({type(error).__name__})", for_good=True)
    why = "did not answer" if on_its_way else "cannot be reached"
    return NotDelivered(f"the mail server {why} ({type(error).__name__})", in_doubt=on_its_way)
