"""Builds every vector file from fixed inputs: `python tests/vectors/make.py` writes them anew.

The committed files are the truth. A test builds them again and compares byte for byte: where they
differ, a format that was to last has changed, and the code is wrong, not the file.
"""

import hashlib
import json
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))

import cast  # noqa: E402

from troth import crypto  # noqa: E402
from troth.kernel import events, ledger, proof, vault  # noqa: E402
from troth.terms import ConsentStatus, KeyRow  # noqa: E402

AT = cast.from_zulu("2026-11-20T08:00:00Z")
REASONS = ({"code": "withdrawn", "rule": "ZA-5"},)
HASH = "sha256:" + "ab" * 32

_CONSENT = {
    ConsentStatus.GIVEN: {
        "channels": ("email", "sms"),
        "notice": "offers@3",
        "method": "form",
        "proof": "box ticked",
        "categories": ("purchases",),
        "level": 2,
        "confirmed_at": "2026-11-19T10:00:00Z",
        "until": "2028-11-19T10:00:00Z",
        "record": HASH,
    },
    ConsentStatus.IMPORTED: {"missing": ("notice", "proof"), "source": "list", "key": "row 7"},
    ConsentStatus.WITHDRAWN: {"occurred_at": "2026-11-20T07:59:00Z", "brand": "marula"},
}

EXAMPLES: dict[str, events.Payload] = {
    p.type: p
    for p in (
        events.PersonCreated("natural", "shop", "b1"),
        events.FactsRecorded("form", "ZA", "Africa/Johannesburg", "adult", True, "en", "natural"),
        events.ContactAdded("email", "contact.email", 0, 1, 1, "form"),
        events.ValuesSealed({"contact.email": 2, "name.given": 1}, "form"),
        events.RelationRecorded(
            "sale", "2026-10-01T12:00:00Z", "till", "marula", "coffee", True, True, None
        ),
        *(
            events.ConsentAct(status, "offers", **_CONSENT.get(status, {}))
            for status in ConsentStatus
        ),
        events.NoticeServed("offers@3", "portal", "en"),
        events.BehaviourRecorded(
            12,
            ("purchase", "return"),
            "2026-07-01T00:00:00Z",
            "2026-09-30T23:59:59Z",
            "till",
            HASH,
            {"purchases/2026Q3": 1},
        ),
        events.SuppressionAdded("unsubscribe", "channel", "portal", "email", None, None),
        events.SuppressionLifted("unsubscribe", "channel", "portal", "email"),
        events.UsePermitted(
            "offers",
            "send",
            ("identity.name",),
            "consent",
            HASH,
            HASH,
            "2026-11-24T09:00:00Z",
            "email",
        ),
        events.UseRefused("offers", "send", REASONS, HASH, HASH, "email", "winback", "c1"),
        events.MessageBooked(
            "m1",
            "offers",
            "email",
            "winback@7",
            2,
            ("purchases",),
            "consent",
            HASH,
            HASH,
            "<m1@mail.marula.example>",
            HASH,
            "winback",
            None,
        ),
        events.MessageOutcome("handed", "m1", 250),
        events.MessageOutcome("failed", "m1", 550),
        events.MessageOutcome("unknown", "m1"),
        events.MessageOutcome("withheld", "m1", None, REASONS),
        events.DataRead("service", ("contact.email",), "case 1"),
        events.PersonMerged(cast.WITHDREW.hex(), True, "same address"),
        events.PersonUnmerged(cast.WITHDREW.hex(), "two people"),
        events.ProcessingRestricted(True, 'disputed \u00e9\u4e2d\U0001f512 "\\\n\x01'),
        events.PersonErasing("r1", True),
        events.RetentionApplied(("birth.year",), ("purchases/2024Q1",), "ZA-20", ("interests",)),
        events.SetProcessed(
            "preview", HASH, 4_242, {"allowed": 3, "withdrawn": 1}, HASH, "offers", "winback"
        ),
        events.ImportFinished("customers", HASH, {"new": 3, "same": 1}),
        events.RegistryApplied("za-dma", HASH, "sha256", "2026-11-01T00:00:00Z", 12_000),
        events.RegistryWaived(
            "za-dma", "officer/1", "file late", "2026-11-01T00:00:00Z", "2026-11-08T00:00:00Z"
        ),
        events.HouseRefused("offers", "send", REASONS, "winback"),
        events.MessageOutcome("delivered", "m1", channel="email"),
        events.MessageOutcome("bounced", "m1", kind="hard", detail="5.1.1", campaign="winback"),
        events.MessageOutcome("complained", "m1", channel="email", campaign="winback"),
        events.MessageOutcome("replied", "m1", kind="stop"),
        events.MessageOutcome("opened", "m1"),
        events.MessageOutcome("clicked", "m1", detail="2"),
        events.ContactEnded("email", "contact.email", 0, "changed", "portal"),
        events.PersonLinked(cast.WITHDREW.hex(), "competent_person", "form", True),
        events.HousePublished("template:winback@8", HASH),
        events.StaffActed("signed_in", "marketer/0011223344556677", "passkey"),
        events.CampaignActed("winback", "scheduled", HASH, "2026-11-21T08:00:00Z", "week 47"),
        events.ConnectionActed("shop", "sent", {"withdrawn": 3}, HASH),
        events.CaseActed("case:T-1042", "opened", "phone", "2026-12-20T08:00:00Z"),
        events.AccessActed(
            "approved",
            "gr-01",
            "jit",
            "support/0011223344556677",
            "service",
            "read",
            ("contact.email",),
            "case:T-1042",
            "2026-11-20T16:00:00Z",
            "2026-11-21T08:00:00Z",
            "asked for by phone",
            {"people": 1},
        ),
        events.ExportMade(
            "ex-01", "list", "offers", {"people": 3}, HASH, "2026-12-20T08:00:00Z", "campaign:x"
        ),
        events.AlarmRaised("canary.read", "ca-01", "support/0011223344556677", {"reads": 1}),
        events.KeyActed("scheduled", 3, "file", "2026-11-27T08:00:00Z", {"shards": 1024}),
        events.BackupActed("made", "data", "bk-01", HASH, 1234, {"bytes": 5}),
        events.LogActed("rotated", "brand.example/ledger", "brand.example/ledger+00+AA", 9, "why"),
        events.MapActed("scanned", "warehouse", HASH, {"columns": 12}),
        events.PreferenceSet("portal", "2026-12-24T08:00:00Z", 2, ("20:00", "08:30")),
        events.RetentionChosen("purchases", "portal", 18),
        events.BehaviourDeleted(
            3,
            "kind",
            {"purchases/2026Q3#0": 2, "purchases/2026Q3#1": 0},
            {"purchases/2026Q3": 1},
            "portal",
        ),
        events.ValueCorrected("name.given", 2, "portal", "cc" * 32, 1),
        events.RequestActed("q1", "opened", "access", "portal", "2026-12-23T08:00:00Z", "ZA-30"),
        events.VisitBegan("link", "competent_person"),
    )
}


def chain(tag: str) -> tuple[bytes, bytes]:
    """Return (event bytes, salt) of the example of one family."""
    payload = EXAMPLES[tag]
    raw = events.encode(
        payload,
        person=cast.AGREED,
        n=2,
        prev=b"\xcc" * 32,
        at=AT,
        actor="system/0011223344556677",
    )
    return raw, hashlib.sha256(tag.encode()).digest()


def event_vectors() -> dict:
    out = {}
    for tag in sorted(EXAMPLES):
        raw, salt = chain(tag)
        c = proof.commitment(salt, raw)
        out[tag] = {
            "event": raw.decode(),
            "salt": salt.hex(),
            "commitment": c.hex(),
            "entry": proof.private_entry(c).hex(),
            "leaf": proof.leaf_hash(proof.private_entry(c)).hex(),
        }
    public = events.public_entry({"type": "policy.published", "hash": HASH, "name": "offers"})
    return {
        "private": out,
        "public": {"entry": public.hex(), "leaf": proof.leaf_hash(public).hex()},
    }


SIZES = (0, 1, 2, 3, 7, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000)


def tree_vectors() -> dict:
    leaves = ledger.leaf_hashes(b"entry %d" % i for i in range(max(SIZES)))
    out = {}
    for size in SIZES:
        edge = ledger.Edge(0, [])
        tiles = {}
        for tile in edge.extend(leaves[:size]):
            path = ledger.tile_path(tile.level, tile.number, tile.width)
            tiles[path] = hashlib.sha256(tile.hashes).hexdigest()
        whole = "".join(f"{path} {digest}\n" for path, digest in sorted(tiles.items()))
        edges = {path: tiles[path] for path in sorted(tiles) if ".p/" in path}
        out[str(size)] = {
            "root": edge.root().hex(),
            "tiles": len(tiles),
            "tiles_digest": hashlib.sha256(whole.encode()).hexdigest(),
            "partial": edges,
        }
    entries = [events.public_entry({"type": "pad"}), proof.private_entry(b"\x07" * 32)]
    return {"trees": out, "bundle": ledger.bundle(entries).hex()}


def worked_entries() -> tuple[list[bytes], bytes, bytes]:
    """Return (entries, event 2, its salt) of the worked example."""
    psid = cast.PersonId(bytes(range(16)))
    text = hashlib.sha256(b"policy text 1").hexdigest()

    def event(n: int, at: str, kind: str, prev: bytes) -> bytes:
        return events.canonical(
            {
                "at": at, "n": n, "prev": proof.b64(prev), "psid": psid.hex(),
                "purpose": "email.offers", "type": kind, "v": 1,
            }
        )  # fmt: skip

    salt1, salt2 = b"\xaa" * 32, b"\xbb" * 32
    e1 = event(1, "2026-11-23T14:00:00Z", "consent.given", b"")
    c1 = proof.commitment(salt1, e1)
    e2 = event(2, "2026-11-24T08:30:00Z", "consent.withdrawn", c1)
    entries = [
        events.public_entry({"type": "log.start"}),
        proof.private_entry(c1),
        events.public_entry({"type": "policy.published", "hash": f"sha256:{text}"}),
        proof.private_entry(proof.commitment(salt2, e2)),
        events.public_entry({"type": "test"}),
    ]
    return entries, e2, salt2


TIMESTAMP = 1_795_000_000


def worked_note() -> tuple[cast.Tiles, str, str]:
    entries, _, _ = worked_entries()
    tiles = cast.Tiles().add(entries)
    signed = ledger.sign_checkpoint(
        proof.Checkpoint(cast.ORIGIN, len(entries), tiles.edge.root()), [cast.LOG_SEED]
    )
    return tiles, signed, ledger.cosign(signed, cast.WITNESS, cast.WITNESS_SEED, TIMESTAMP)


def worked_receipt() -> str:
    _, e2, salt2 = worked_entries()
    tiles, _, note = worked_note()
    return ledger.receipt(proof.event_extra(salt2, e2), 3, note, tiles.read)


def erased_receipt() -> str:
    _, e2, salt2 = worked_entries()
    tiles, _, note = worked_note()
    extra = proof.erased_extra(proof.commitment(salt2, e2))
    return ledger.receipt(extra, 3, note, tiles.read)


CHUNK = vault.Chunk(
    at=(-1, 1_700_000_000_000_000, 1_700_000_000_000_001),
    kind=(0, 1, 0),
    item=(0, 1, 4_294_967_295),
    amount=(1_999, -1_999, 9_223_372_036_854_775_807),
    units=(1, -1, 2_147_483_647),
    kinds=("purchase", "return"),
    items=("sku-1", "sku-2"),
    groups=("coffee", "tea"),
    item_group=(0, 1),
    currency="ZAR",
    source="till",
    tail={"0": "gift"},
)


def vault_vectors() -> dict:
    who, raw, nonce = cast.AGREED, bytes(range(32)), bytes(range(12))
    row = KeyRow(who, "purchases/2026Q4", 3, "active", b"", vault.key_check(raw), 5)
    key = vault.DataKey(who, "", 2, raw)
    aad = vault.record_aad(cast.WORKSPACE, "contact.email", who, 0, 7, 2)
    body = vault.record_aad(cast.WORKSPACE, vault.EVENT_FIELD, who, 9, 1, 2)
    plain = b"ayanda@marula.example"
    return {
        "workspace": cast.WORKSPACE.hex(),
        "psid": who.hex(),
        "key": raw.hex(),
        "nonce": nonce.hex(),
        "plain": plain.decode(),
        "record_key": crypto.hkdf(raw, b"pv1rec").hex(),
        "kcv": vault.key_check(raw).hex(),
        "shard": vault.shard_of(who),
        "record_aad": aad.hex(),
        "event_aad": body.hex(),
        "record": vault.seal(key, nonce, plain, aad).hex(),
        "wrap_aad": vault.wrap_aad(cast.WORKSPACE, row).hex(),
        "wrapped": vault.wrap(b"\x42" * 32, nonce, raw, cast.WORKSPACE, row).hex(),
        "search_mac": vault.search_mac(b"\x17" * 32, "email", plain.decode()).hex(),
        "chunk": vault.pack_chunk(CHUNK).hex(),
    }


def _json(value: dict) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=True) + "\n").encode()


def files() -> dict[str, bytes]:
    """Return every vector file by name."""
    _, signed, cosigned = worked_note()
    return {
        "events.json": _json(event_vectors()),
        "tree.json": _json(tree_vectors()),
        "vault.json": _json(vault_vectors()),
        "checkpoint.note": signed.encode(),
        "checkpoint-cosigned.note": cosigned.encode(),
        "worked.tlog-proof": worked_receipt().encode(),
        "worked-erased.tlog-proof": erased_receipt().encode(),
        "worked.policy": cast.policy_text(quorum="w1").encode(),
    }


if __name__ == "__main__":
    for name, data in files().items():
        (FOLDER / name).write_bytes(data)
        print(name, len(data), hashlib.sha256(data).hexdigest())
