"""A certificate that signed itself: nobody trusts it who was not told to."""

from pathlib import Path

from tests.services.process import HOST, find_program, run


class Certificate:
    """A certificate and its key, as PEM files, for 127.0.0.1 and the given host names."""

    def __init__(self, folder: Path, *hosts: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "certificate.pem"
        self.key = folder / "key.pem"
        names = ",".join([f"IP:{HOST}", *(f"DNS:{host}" for host in hosts)])
        run(
            [
                *(
                    find_program("openssl", "openssl"),
                    "req",
                    "-x509",
                    "-newkey",
                    "rsa:2048",
                    "-nodes",
                    "-days",
                    "2",
                ),
                *("-subj", "/CN=test", "-addext", f"subjectAltName={names}"),
                *("-out", self.file, "-keyout", self.key),
            ]
        )
