"""A self-signed certificate: a client trusts it only if it is told to."""

from pathlib import Path

from tests.services.process import HOST, find_program, run


class Certificate:
    """A certificate and its key, as PEM files, for 127.0.0.1 and some host names."""

    def __init__(self, folder: Path, *hosts: str, days: int = 2) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "certificate.pem"
        self.key = folder / "key.pem"
        names = ",".join([f"IP:{HOST}", *(f"DNS:{host}" for host in hosts)])
        program = find_program("openssl", "openssl")
        options = (
            f"req -x509 -newkey rsa:2048 -nodes -days {days} -subj /CN=test".split()
        )
        options += ["-addext", f"subjectAltName={names}"]
        run([program, *options, "-out", self.file, "-keyout", self.key])
