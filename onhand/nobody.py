"""A certificate of nobody, for Prefect's clients where the API is plain HTTP on this machine.

Each of them reads a file of certificate authorities when it is made, whether it will speak TLS or not: the 140 of the
system take 36 ms of processor time, this one takes none, and a flow run makes several clients.
"""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def certificate_of_nobody(folder: Path) -> Path:
    """The file, made where it is not there yet. Its key is kept nowhere, so nothing can be signed by it."""
    path = folder / "nobody.pem"
    if not path.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        name, now = x509.Name([]), datetime.now(UTC)
        made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now).sign(
            key, hashes.SHA256()
        )
        folder.mkdir(parents=True, exist_ok=True)
        # Children are started side by side.
        draft = path.with_suffix(f".{threading.get_ident()}")
        draft.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        draft.replace(path)
    return path
