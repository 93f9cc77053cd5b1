"""A Google service account of the sandbox's own: a key pair, and the tokens issued for it.

The token endpoint checks an assertion as Google does (RFC 7523: signature, issuer, audience,
lifetime, scope), so a client that Google would reject is rejected here.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import secrets
import time
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

SHEETS_SCOPE = "https://www.googleapis.com/auth/spreadsheets"
READONLY_SCOPE = "https://www.googleapis.com/auth/spreadsheets.readonly"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# google-auth names this audience whatever the account's token_uri says.
GOOGLE_AUDIENCE = "https://oauth2.googleapis.com/token"
_PROJECT = "dagster-tiktok-sandbox"
_CLOCK_SKEW_SECONDS = 300
_MAX_LIFETIME_SECONDS = 3600


class TokenError(Exception):
    """The error response to an assertion that the endpoint does not accept."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description


class ServiceAccount:
    """The key pair and the tokens that were issued for it."""

    def __init__(
        self, key: rsa.RSAPrivateKey, key_id: str, *, token_lifetime_seconds: float = 3600
    ) -> None:
        self.email = f"sheet-reader@{_PROJECT}.iam.gserviceaccount.com"
        self._key = key
        self._key_id = key_id
        self._lifetime = token_lifetime_seconds
        self._tokens: dict[str, tuple[float, frozenset[str]]] = {}

    @classmethod
    def at(cls, path: Path | None, *, token_lifetime_seconds: float = 3600) -> ServiceAccount:
        """The account whose JSON lies at `path`, else a new one."""
        if path is not None and path.exists():
            info = json.loads(path.read_text("utf-8"))
            key = serialization.load_pem_private_key(info["private_key"].encode(), password=None)
            if not isinstance(key, rsa.RSAPrivateKey):
                raise ValueError(f"{path} holds no RSA key")
            key_id = info["private_key_id"]
        else:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            key_id = secrets.token_hex(20)
        return cls(key, key_id, token_lifetime_seconds=token_lifetime_seconds)

    def info(self, token_uri: str) -> dict[str, str]:
        """The account as the JSON file that Google's console offers for download."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "type": "service_account",
            "project_id": _PROJECT,
            "private_key_id": self._key_id,
            "private_key": pem.decode(),
            "client_email": self.email,
            "client_id": "100000000000000000001",
            "token_uri": token_uri,
            "universe_domain": "googleapis.com",
        }

    def save(self, path: Path, token_uri: str) -> None:
        """Writes the JSON with mode 600, in one step."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(self.info(token_uri), file, indent=2)
        temporary.replace(path)

    def issue(self, assertion: str, *, audience: str) -> dict[str, Any]:
        """The token endpoint's response. Raises TokenError."""
        scopes = self._scopes_of(assertion, audience, time.time())
        token = f"ya29.sandbox-{secrets.token_urlsafe(32)}"
        self._tokens[token] = (time.monotonic() + self._lifetime, scopes)
        return {"access_token": token, "expires_in": int(self._lifetime), "token_type": "Bearer"}

    def scopes_of_token(self, token: str) -> frozenset[str] | None:
        """What the token allows, or None for one that is unknown or has expired."""
        expires_at, scopes = self._tokens.get(token, (0.0, frozenset()))
        return scopes if expires_at > time.monotonic() else None

    def expire_tokens(self) -> int:
        """Forgets every token, as after a revocation. Returns how many there were."""
        count = len(self._tokens)
        self._tokens.clear()
        return count

    def _scopes_of(self, assertion: str, audience: str, now: float) -> frozenset[str]:
        parts = assertion.split(".")
        if len(parts) != 3:
            raise TokenError("invalid_grant", "Invalid JWT: it must have three parts.")
        header, claims = _json_part(parts[0]), _json_part(parts[1])
        if header.get("alg") != "RS256":
            raise TokenError("invalid_grant", "Invalid JWT: only RS256 is supported.")
        if header.get("kid") not in (None, self._key_id) or claims.get("iss") != self.email:
            raise TokenError("invalid_grant", "Invalid grant: account not found")
        try:
            self._key.public_key().verify(
                _decode(parts[2]),
                f"{parts[0]}.{parts[1]}".encode(),
                padding.PKCS1v15(),
                hashes.SHA256(),
            )
        except InvalidSignature:
            raise TokenError("invalid_grant", "Invalid JWT Signature.") from None
        if claims.get("aud") not in (audience, GOOGLE_AUDIENCE):
            raise TokenError("invalid_grant", "Invalid JWT: wrong audience.")
        _check_lifetime(claims.get("iat"), claims.get("exp"), now)
        scopes = frozenset(str(claims.get("scope", "")).split())
        if not scopes & {SHEETS_SCOPE, READONLY_SCOPE}:
            raise TokenError("invalid_scope", "Invalid OAuth scope or ID token audience.")
        return scopes


def _check_lifetime(issued: Any, expires: Any, now: float) -> None:
    if not isinstance(issued, (int, float)) or not isinstance(expires, (int, float)):
        raise TokenError("invalid_grant", "Invalid JWT: iat and exp are required.")
    if expires <= now or issued > now + _CLOCK_SKEW_SECONDS:
        raise TokenError("invalid_grant", "Invalid JWT: check your iat and exp values.")
    if expires - issued > _MAX_LIFETIME_SECONDS:
        raise TokenError("invalid_grant", "Invalid JWT: the token must be a short-lived one.")


def _decode(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raise TokenError("invalid_grant", "Invalid JWT: not base64url.") from None


def _json_part(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_decode(part))
    except ValueError:
        raise TokenError("invalid_grant", "Invalid JWT: not JSON.") from None
    if not isinstance(value, dict):
        raise TokenError("invalid_grant", "Invalid JWT: not an object.")
    return value
