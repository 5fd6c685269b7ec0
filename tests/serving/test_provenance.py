import datetime
import io
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from odd_pictures import encoded, halves, turned
from PIL import Image, PngImagePlugin
from typer.testing import CliRunner

from easel.cli import app
from serving import signing
from serving.client import Client
from serving.process import ServerProcess
from serving.provenance import Provenance, ProvenanceError, Restoring, inscribe, of_restored, read


@pytest.fixture
def drawn(server: ServerProcess, tmp_path: Path) -> Path:
    """A picture as `easel generate` writes it."""
    out = tmp_path / "out.png"
    done = CliRunner().invoke(app, ["generate", "一个蓝色的心形", "--seed", "7", "-o", str(out), *at(server)])
    assert done.exit_code == 0, done.output
    return out


def at(server: ServerProcess) -> list[str]:
    return ["--server", server.grpc_address]


def test_a_saved_picture_tells_what_it_was_drawn_from(client: Client, tmp_path: Path) -> None:
    picture = client.generate("a red circle", seed=7, temperature=0.5, refine=False)[0]
    picture.save(tmp_path / "told.png")
    told = read(tmp_path / "told.png")
    assert told.made == "generated" and told.models == {"text_to_image": 1}
    (drawing,) = told.drawings
    assert drawing.model_dump() == {
        "prompt": "a red circle",
        "expanded_prompt": "a red circle at 0.5 unrefined",
        "seed": 7,
        "temperature": 0.5,
        "expand": True,
        "refine": False,
        "candidates": 1,
        "scale": 1,
        "to_prompt": None,
        "to_seed": None,
        "share": 0.0,
    }


def test_a_blend_tells_both_pictures_and_can_be_drawn_again(server: ServerProcess, tmp_path: Path) -> None:
    out = tmp_path / "blended.png"
    other = ["--to-prompt", "a moon", "--to-seed", "9", "--share", "0.25"]
    done = CliRunner().invoke(app, ["generate", "a star", "--seed", "7", *other, "-o", str(out), *at(server)])
    assert done.exit_code == 0, done.output
    (drawing,) = read(out).drawings
    assert (drawing.seed, drawing.to_prompt, drawing.to_seed, drawing.share) == (7, "a moon", 9, 0.25)
    shown = CliRunner().invoke(app, ["inspect", str(out), "--again", *at(server)])
    assert shown.exit_code == 0, shown.output
    assert "25% of the way to: a moon, seed 9" in shown.stdout and "The same, bit for bit." in shown.stdout


def test_other_programs_find_the_mark(client: Client) -> None:
    png = inscribe((picture := client.generate("一个圆")[0]).png, picture.provenance)
    with Image.open(io.BytesIO(png)) as image:
        image.load()
        assert image.info["Title"] == "一个圆" and image.info["Description"] == "一个圆 on black"
        assert "trainedAlgorithmicMedia" in str(image.getxmp())
        assert image.tobytes() == picture.image.tobytes()


def test_one_flag_leaves_everything_out(client: Client, server: ServerProcess, tmp_path: Path) -> None:
    client.generate("a")[0].save(tmp_path / "client.png", provenance=False)
    arguments = ["generate", "a", "--no-provenance", "-o", str(tmp_path / "command.png"), *at(server)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    for name in ("client.png", "command.png"):
        with Image.open(tmp_path / name) as image:
            image.load()
            assert image.info == {}
        with pytest.raises(ProvenanceError, match="has no provenance"):
            read(tmp_path / name)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("{", "has invalid provenance"),
        ('{"made": "painted", "models": {}}', "made: Input should be 'generated' or 'restored'"),
    ],
)
def test_nonsense_is_one_sentence(told: str, message: str, tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("Easel", told)
    Image.new("RGB", (8, 8)).save(tmp_path / "odd.png", pnginfo=info)
    done = CliRunner().invoke(app, ["inspect", str(tmp_path / "odd.png")])
    assert done.exit_code == 1 and message in done.stderr and done.stderr.count("\n") == 1
    (tmp_path / "text.png").write_text("no picture")
    done = CliRunner().invoke(app, ["inspect", str(tmp_path / "text.png")])
    assert done.exit_code == 1 and "The file holds text" in done.stderr


def test_inspect_tells_a_person_and_a_script(drawn: Path) -> None:
    person = CliRunner().invoke(app, ["inspect", str(drawn)])
    assert person.exit_code == 0
    assert "prompt: 一个蓝色的心形" in person.stdout and "seed 7\n" in person.stdout
    script = json.loads(CliRunner().invoke(app, ["inspect", str(drawn), "--json"]).stdout)
    assert script["models"] == {"text_to_image": 1} and script["drawings"][0]["seed"] == 7


def test_restore_turns_a_picture_upright_and_names_what_is_none(server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "in.jpg").write_bytes(encoded(halves(), "JPEG", exif=turned(6), quality=95))
    arguments = ["restore", str(tmp_path / "in.jpg"), "--noise", "0", "-o", str(tmp_path / "out.png"), *at(server)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (8, 16)
    (tmp_path / "in.jpg").write_bytes(b"text")
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1 and done.stderr.count("\n") == 1
    assert f"image {tmp_path}/in.jpg: The file holds text" in done.stderr


@pytest.mark.parametrize(
    "options", [(), ("-n", "9", "--scale", "3", "--no-refine", "--temperature", "0.7", "--candidates", "3")], ids=len
)
def test_again_is_the_same_bit_for_bit(server: ServerProcess, tmp_path: Path, options: tuple[str, ...]) -> None:
    out = str(tmp_path / "out.png")
    assert CliRunner().invoke(app, ["generate", "a star", "-o", out, *options, *at(server)]).exit_code == 0
    again = CliRunner().invoke(app, ["inspect", out, "--again", *at(server)])
    assert again.exit_code == 0, again.output
    assert again.stdout.endswith("The same, bit for bit.\n")
    as_json = CliRunner().invoke(app, ["inspect", out, "--again", "--json", *at(server)])
    assert json.loads(as_json.stdout)["again"] == "the same"


def test_again_says_what_differs(drawn: Path, server: ServerProcess) -> None:
    told = read(drawn)
    with Image.open(drawn) as image:
        image.putpixel((3, 3), (255, 0, 0))
        drawn.write_bytes(inscribe(image, told))
    again = CliRunner().invoke(app, ["inspect", str(drawn), "--again", *at(server)])
    assert again.exit_code == 1 and "Different: 1 of 64 pixels" in again.stderr


def test_again_forgives_rounding_and_tells_it(server: ServerProcess, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    assert CliRunner().invoke(app, ["generate", "a star", "-o", str(out), "--scale", "8", *at(server)]).exit_code == 0
    told = read(out)
    with Image.open(out) as image:
        red, green, blue = image.getpixel((3, 3))
        image.putpixel((3, 3), (red + 1 if red < 255 else red - 1, green, blue))
        out.write_bytes(inscribe(image, told))
    again = CliRunner().invoke(app, ["inspect", str(out), "--again", *at(server)])
    assert again.exit_code == 0, again.output
    assert again.stdout.endswith("The same except for rounding: 1 of 4096 pixels differ by 1 of 255 grey levels.\n")


def test_again_asks_for_the_version_that_drew(drawn: Path, server: ServerProcess) -> None:
    told = read(drawn).model_copy(update={"models": {"text_to_image": 99}})
    drawn.write_bytes(inscribe(drawn.read_bytes(), told))
    again = CliRunner().invoke(app, ["inspect", str(drawn), "--again", *at(server)])
    assert again.exit_code == 1 and "99" in again.stderr


def test_a_restored_drawing_stays_generated(drawn: Path, server: ServerProcess, tmp_path: Path) -> None:
    out = tmp_path / "restored.png"
    arguments = ["restore", str(drawn), "--noise", "5", "-o", str(out), *at(server)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    told = read(out)
    assert told.made == "generated" and told.drawings[0].prompt == "一个蓝色的心形"
    assert told.restoring == Restoring(noise_sigma=5) and told.models == {"text_to_image": 1, "restorer": 1}
    again = CliRunner().invoke(app, ["inspect", str(out), "--again", *at(server)])
    assert again.exit_code == 1 and "restore the original picture again" in again.stderr


def test_a_restored_photograph_is_not_called_generated() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    assert of_restored(buffer.getvalue(), Restoring(filled=True), 4).made == "restored"


def certificates(folder: Path) -> list[str]:
    """A chain of two and the signer's key, in files, as options."""
    authority, signer = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)

    def issue(name: str, key: ec.EllipticCurvePrivateKey, *, is_authority: bool) -> bytes:
        def named(common: str) -> x509.Name:
            pairs = {NameOID.ORGANIZATION_NAME: "Test House", NameOID.COMMON_NAME: common}
            return x509.Name([x509.NameAttribute(oid, value) for oid, value in pairs.items()])

        usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
        usage |= {"encipher_only": False, "decipher_only": False, "crl_sign": is_authority}
        builder = (
            x509.CertificateBuilder(named("authority"), named(name), key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(
                x509.KeyUsage(digital_signature=not is_authority, key_cert_sign=is_authority, **usage), critical=True
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        )
        if not is_authority:
            purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(purpose, critical=False)
        return builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    chain = issue("signer", signer, is_authority=False) + issue("authority", authority, is_authority=True)
    (folder / "chain.pem").write_bytes(chain)
    (folder / "key.pem").write_bytes(pem(signer))
    return ["--certificate", str(folder / "chain.pem"), "--private-key", str(folder / "key.pem")]


def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey) -> bytes:
    kind, encryption = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, kind, encryption)


def test_a_signature_covers_pixels_and_text(server: ServerProcess, tmp_path: Path) -> None:
    out = tmp_path / "signed.png"
    arguments = ["generate", "a heart", "-o", str(out), *certificates(tmp_path), *at(server)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert read(out).drawings[0].prompt == "a heart"
    assert signing.read(out)["signed"] == "signer of Test House"
    assert signing.read(out)["signature"] == "valid"
    shown = CliRunner().invoke(app, ["inspect", str(out), "--again", *at(server)])
    assert "signed: signer of Test House" in shown.stdout and "The same, bit for bit." in shown.stdout
    forged = out.read_bytes().replace(b"a heart", b"a pearl")
    (tmp_path / "forged.png").write_bytes(forged)
    assert signing.read(tmp_path / "forged.png")["signature"] == "invalid"
    assert "dataHash.mismatch" in signing.read(tmp_path / "forged.png")["remarks"]


def test_a_key_that_cannot_sign_is_one_sentence(server: ServerProcess, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    options = certificates(tmp_path)
    for content, message in [
        (b"no key", "holds no private key"),
        (pem(x25519.X25519PrivateKey.generate()), "C2PA takes P-256"),
        (pem(ed25519.Ed25519PrivateKey.generate()), "cannot sign"),
    ]:
        (tmp_path / "key.pem").write_bytes(content)
        done = CliRunner().invoke(app, ["generate", "a", "-o", str(out), *options, *at(server)])
        assert done.exit_code == 1 and message in done.stderr, done.output
        assert done.stderr.count("\n") == 1 and not out.exists()


@pytest.mark.parametrize("options", [("--certificate", "a"), ("--private-key", "a")])
def test_half_a_signature_is_wrong_use(options: tuple[str, str]) -> None:
    assert CliRunner().invoke(app, ["generate", "a", *options]).exit_code == 2


def test_what_is_told_survives_the_way_through_a_file() -> None:
    told = Provenance(made="restored", restoring=Restoring(blur_sigma=0.5), models={"restorer": 2})
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "PNG")
    assert read(inscribe(buffer.getvalue(), told)) == told
