"""A proxy that plays tiktok.com's hosts before the sandbox, for programs that accept no other host.

gallery-dl and yt-dlp read URLs of tiktok.com only. Given this as their HTTPS proxy, they
open what looks to them like a TLS connection to www.tiktok.com, and talk to the sandbox: their code
runs as it is. The certificate is made for the test run, so they are told not to verify it.
"""

from __future__ import annotations

import datetime
import socket
import socketserver
import ssl
import threading
from contextlib import suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_PLAYED_HOST = b"www.tiktok.com"
_TIMEOUT_SECONDS = 120.0


class TlsProxy:
    """Use as a context manager; `url` is what to give to a program as its proxy.

    Arguments:
        target: host and port of the sandbox.
        folder: where the throwaway key may be written.
    """

    def __init__(self, target: tuple[str, int], folder: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(_certificate(folder))
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                # A program that hangs up early is its own business.
                with suppress(ConnectionError, TimeoutError, ssl.SSLError):
                    proxy._serve(self.request, target)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> TlsProxy:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, client: socket.socket, target: tuple[str, int]) -> None:
        client.settimeout(_TIMEOUT_SECONDS)
        request = _read_head(client)
        method, authority, _ = request.split(b" ", 2)
        host = authority.rpartition(b":")[0]
        if method != b"CONNECT" or not (b"." + host).endswith(b".tiktok.com"):
            # Nothing but tiktok.com may be asked for: a test must not leave the machine.
            client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with self._context.wrap_socket(client, server_side=True) as tls:
            head = _read_head(tls)
            with socket.create_connection(target, _TIMEOUT_SECONDS) as upstream:
                upstream.sendall(_one_request(head))
                while data := upstream.recv(65536):
                    tls.sendall(data)


def _one_request(head: bytes) -> bytes:
    """The request as a TLS-ending front passes it on: the outer host named, one a connection."""
    lines = head.rstrip(b"\r\n").split(b"\r\n")
    kept = [line for line in lines if not line.lower().startswith((b"connection:", b"keep-alive:"))]
    added = (b"Connection: close", b"X-Forwarded-Proto: https", b"X-Forwarded-Host: ")
    return b"\r\n".join([*kept, *added]) + _PLAYED_HOST + b"\r\n\r\n"


def _read_head(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        received = connection.recv(65536)
        if not received:
            raise ConnectionError("closed before the end of the request")
        data += received
    return data


def _certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sandbox")])
    hosts = [x509.DNSName("tiktok.com"), x509.DNSName("*.tiktok.com")]
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    path = folder / "throwaway.pem"
    path.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(encoding)
    )
    return path
