"""The certificate of nobody: Prefect's clients take it, and only where the API is plain HTTP."""

import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from onhand.children import environment
from onhand.nobody import certificate_of_nobody

GIVEN = "PREFECT_API_SSL_CERT_FILE"


def test_a_context_is_made_of_it_and_trusts_nobody(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        [made] = set(threads.map(lambda _: certificate_of_nobody(tmp_path / "prefect"), range(32)))
    assert ssl.create_default_context(cafile=str(made)).get_ca_certs() == [], "it is no authority"
    first = made.read_bytes()
    assert certificate_of_nobody(tmp_path / "prefect").read_bytes() == first
    assert b"PRIVATE" not in first


def test_it_is_for_plain_http_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(GIVEN, raising=False)
    assert Path(environment(tmp_path, "url", "http://127.0.0.1:4200/api", "INFO")[GIVEN]).is_file()
    assert GIVEN not in environment(tmp_path, "url", "https://prefect.example/api", "INFO")
    monkeypatch.setenv(GIVEN, "/own.pem")
    assert environment(tmp_path, "url", "http://127.0.0.1:4200/api", "INFO")[GIVEN] == "/own.pem"
