"""Content credentials: a C2PA manifest, signed with the user's certificate, over pixels and text chunks of a PNG.

The manifest (C2PA 2.4) states that a model made the picture, and with which software. No network is used, so it has no
time stamp of an authority. Needs the extra `c2pa`.
"""

import io
import json
from pathlib import Path

from serving.provenance import DIGITAL_SOURCE_TYPES, Provenance, ProvenanceError

_CHUNK = b"caBX"
_CURVES = {256: "es256", 384: "es384", 521: "es512"}


def sign(png: bytes, provenance: Provenance, certificate: Path, private_key: Path) -> bytes:
    """Return the PNG with a manifest.

    Args:
        png: the PNG with its text chunks, which the signature covers.
        provenance: the provenance of the picture.
        certificate: PEM of the chain, the signer's own first; C2PA refuses self-signed certificates.
        private_key: the key as unencrypted PEM: elliptic curve, Ed25519 or RSA.

    Raises:
        ProvenanceError: a key or certificate that cannot sign.
        OSError: a file that cannot be read.
        ModuleNotFoundError: the extra is not installed.

    """
    import c2pa

    chain, key = certificate.read_bytes(), private_key.read_bytes()
    name, _, version = provenance.software.partition(" ")
    action = {"action": "c2pa.created", "digitalSourceType": DIGITAL_SOURCE_TYPES[provenance.made]}
    manifest = {
        "claim_generator_info": [{"name": name, "version": version}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
    }
    signed = io.BytesIO()
    try:
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(_algorithm(key, private_key), chain, key, None))
        # The thumbnail of a small picture would be larger than the picture.
        context = c2pa.Context.from_dict({"builder": {"thumbnail": {"enabled": False}}})
        c2pa.Builder(manifest, context).sign(signer, "image/png", io.BytesIO(png), signed)
    except c2pa.C2paError as error:
        raise ProvenanceError(f"{certificate} and {private_key} cannot sign: {error}.") from error
    return signed.getvalue()


def read(png: Path) -> dict[str, str]:
    """Return who signed a PNG and whether the signature is valid; empty if it is not signed.

    Raises:
        OSError: a path that cannot be read.

    """
    content = png.read_bytes()
    if _CHUNK not in content:
        return {}
    try:
        import c2pa
    except ModuleNotFoundError:
        return {"signed": "yes; to read who signed it, run `.uv/bin/uv sync --frozen --inexact --extra c2pa`"}
    try:
        with c2pa.Reader("image/png", io.BytesIO(content)) as reader:
            store, state = json.loads(reader.json()), reader.get_validation_state()
    except c2pa.C2paError as error:
        return {"signed": f"yes, but the manifest cannot be read: {error}"}
    by = store["manifests"][store["active_manifest"]].get("signature_info", {})
    who = " of ".join(by[name] for name in ("common_name", "issuer") if by.get(name))
    codes = [status["code"] for status in store.get("validation_status", [])]
    return {"signed": who, "signature": str(state).lower(), **({"remarks": ", ".join(codes)} if codes else {})}


def _algorithm(key: bytes, path: Path) -> str:
    """Return C2PA's name of the algorithm of a private key."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    try:
        loaded = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError) as error:
        raise ProvenanceError(f"{path} holds no private key that can be read without a password: {error}.") from error
    if isinstance(loaded, ec.EllipticCurvePrivateKey) and loaded.key_size in _CURVES:
        return _CURVES[loaded.key_size]
    if isinstance(loaded, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(loaded, rsa.RSAPrivateKey):
        return "ps256"
    raise ProvenanceError(f"{path} holds a {type(loaded).__name__}: C2PA takes P-256, P-384, P-521, Ed25519 and RSA.")
