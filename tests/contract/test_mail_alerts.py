"""Alerts by mail, against a small server that speaks SMTP as RFC 5321 and 3207 have it."""

import email
import email.policy
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from adapters.mail import Mail, mail
from adapters.messenger import NotDelivered
from inventory.alerting.alert_policy import Occasion
from inventory.alerting.alert_text import AlertText, Fact, Links, compose
from inventory.words import IncidentKind, Severity

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PASSWORD = "notARealPassword"
TO = ("duty@seller.test", "lead@seller.test")


@dataclass
class Sink:
    """What it takes, and what it answers instead of 250 to a command."""

    answers: dict[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    taken: list[bytes] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    was_encrypted: list[bool] = field(default_factory=list)


class Session(socketserver.StreamRequestHandler):
    sink: Sink

    def say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")

    def finish(self) -> None:
        for one in (self.rfile, self.wfile, self.request):
            one.close()

    def handle(self) -> None:
        encrypted = False
        self.say("220 sink")
        while line := self.rfile.readline():
            command = line.decode().strip()
            verb = command.split(" ")[0].upper()
            self.sink.commands.append(verb)
            if verb in self.sink.answers:
                answer = self.sink.answers[verb]
                if answer == "hang up":
                    return
                self.say(answer)
            elif verb == "EHLO":
                more = "250 AUTH PLAIN" if encrypted else "250 STARTTLS" if self.sink.tls else "250 HELP"
                self.say(f"250-sink\r\n{more}")
            elif verb == "STARTTLS" and self.sink.tls:
                self.say("220 go on")
                try:
                    self.request = self.sink.tls.wrap_socket(self.request, server_side=True)
                except ssl.SSLError:
                    return  # the client does not trust the certificate
                self.rfile.close()
                self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", 0)
                encrypted = True
            elif verb == "DATA":
                self.say("354 go on")
                lines = []
                while (part := self.rfile.readline()) != b".\r\n":
                    lines.append(part)
                self.sink.taken.append(b"".join(lines))
                self.sink.was_encrypted.append(encrypted)
                self.say(self.sink.answers.get("end of data", "250 taken"))
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("235 welcome" if verb == "AUTH" else "250 fine")


@contextmanager
def serving(sink: Sink) -> Iterator[int]:
    handler = type("Handler", (Session,), {"sink": sink})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


def alert(subject: str = "SKU-1", story: str = "one sold that does not exist") -> AlertText:
    facts = [Fact(1, IncidentKind.OVERSOLD.value, subject, Severity.CRITICAL, story, NOW, NOW, 1, True)]
    return compose(Occasion.OPENED, facts, Links(), key="0123abc", now=NOW)


def read(raw: bytes) -> EmailMessage:
    letter = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(letter, EmailMessage)
    return letter


def sender(port: int, **more: Any) -> Mail:
    return Mail("127.0.0.1", port, sender="onhand@seller.test", to=TO, **more)


def test_the_letter_arrives_and_its_id_is_the_alerts_key() -> None:
    sink = Sink()
    with serving(sink) as port:
        sender(port).send(alert())
        sender(port).send(alert())
    first, second = (read(raw) for raw in sink.taken)
    assert first["Subject"] == "[onhand critical] Oversold: SKU-1"
    assert first["To"] == "duty@seller.test, lead@seller.test"
    assert first["Message-ID"] == second["Message-ID"] == "<0123abc@onhand.invalid>"
    assert "To do: Find the units" in first.get_content()


@pytest.mark.parametrize("evil", ["x\r\nBcc: thief@evil.test", "x\n.\nQUIT", "x\u2028Bcc: y", "ü\ud800" + "y" * 3000])
def test_nothing_from_outside_becomes_a_header_or_a_command(evil: str) -> None:
    sink = Sink()
    with serving(sink) as port:
        sender(port).send(alert(evil, evil))
    letter = read(sink.taken[0])
    assert letter["Bcc"] is None
    assert len(str(letter["Subject"])) <= 200
    assert sink.commands.count("QUIT") == 1
    assert sorted(mail(alert(evil), "a@b.c", TO).keys()) == sorted(mail(alert(), "a@b.c", TO).keys())


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(of the server, of a client that knows its certificate)"""
    folder: Path = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "cert.pem"
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    made += ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=127.0.0.1"]
    try:
        subprocess.run([*made, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed: no certificate can be made for the test")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    return server, ssl.create_default_context(cafile=str(certificate))


def test_the_password_is_sent_encrypted(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    sink = Sink(tls=tls[0])
    with serving(sink) as port:
        sender(port, user="onhand", password=SecretStr(PASSWORD), context=tls[1]).send(alert())
        assert (sink.was_encrypted, sink.commands.count("AUTH")) == ([True], 1)
        sink.answers["AUTH"] = "535 wrong password " + PASSWORD
        with pytest.raises(NotDelivered, match=r"does not let us in \(535\)$") as caught:
            sender(port, user="onhand", password=SecretStr(PASSWORD), context=tls[1]).send(alert())
        assert caught.value.for_good
        assert PASSWORD not in str(caught.value)
        assert caught.value.__context__ is None
        with pytest.raises(NotDelivered, match="certificate is not good") as strange:
            sender(port, context=ssl.create_default_context()).send(alert())
        assert strange.value.for_good


def test_another_machine_without_starttls_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.mail.LOOPBACK", ())
    sink = Sink()
    with serving(sink) as port, pytest.raises(NotDelivered, match="offers no STARTTLS") as caught:
        sender(port, user="onhand", password=SecretStr(PASSWORD)).send(alert())
    assert caught.value.for_good
    assert not {"AUTH", "MAIL", "DATA"} & set(sink.commands)


@pytest.mark.parametrize(
    ("command", "answer", "flags"),
    [
        ("MAIL", "451 later", set()),
        ("MAIL", "550 not you", {"for_good"}),
        ("RCPT", "450 later", set()),
        ("RCPT", "550 nobody", {"for_good"}),
        ("DATA", "554 no", {"refused"}),
        ("end of data", "452 full", set()),
        ("end of data", "554 spam", {"refused"}),
        ("DATA", "hang up", {"in_doubt"}),
        ("EHLO", "421 busy", set()),
        ("QUIT", "hang up", None),
    ],
)
def test_each_answer_means_something(command: str, answer: str, flags: set[str] | None) -> None:
    sink = Sink(answers={command: answer} | ({"HELO": answer} if command == "EHLO" else {}))
    with serving(sink) as port:
        if flags is None:
            sender(port).send(alert())
            assert len(sink.taken) == 1
            return
        with pytest.raises(NotDelivered) as caught:
            sender(port).send(alert())
    assert {name for name in ("for_good", "refused", "in_doubt") if getattr(caught.value, name)} == flags


def test_no_server_is_not_in_doubt() -> None:
    with serving(Sink()) as port:
        pass
    with pytest.raises(NotDelivered, match="cannot be reached") as caught:
        sender(port).send(alert())
    assert not caught.value.in_doubt
