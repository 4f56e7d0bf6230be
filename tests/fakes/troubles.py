"""Problems as they are told of: of a manifest, of a version that nobody has pushed, of a removal that is held."""

from __future__ import annotations

from reconciler.core.desired import Key
from reconciler.manifest.removal import held_problems

BROKEN = "shop/prodsprint.yaml:6:1: `versoin` is not known. Did you mean `version`?"
UNPUSHED = (
    "revision 'v9' not found in https://git.example/shop.git: push it or correct `version` (shop/prodsprint.yaml:5:1)"
)
KEYS = tuple(Key("acme", name, "prod") for name in ("shop", "till"))
HELD = {
    count: str(held_problems(dict.fromkeys(KEYS[:count], ("d" * 40, "shop.yaml")), dict.fromkeys(KEYS, ""))[KEYS[0]])
    for count in (1, 2)
}
"""What the manifests' own code says of a removal that is held, alone and with another project."""
