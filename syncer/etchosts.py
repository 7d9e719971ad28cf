"""`python -m syncer.etchosts FILE FULL-NAME NAME [ALIAS…]`: writes /etc/hosts for syncer.kinds.pods.etchosts.

The content is the kubelet's (managedHostsFileContent), but for the pod's own full name. It imports next to
nothing, for it runs at each start of such a pod.
"""

import os
import sys

_LOCAL = """\
# Written for the pod's cluster.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""


def content(addresses: list[str], names: list[str], aliases: list[str]) -> str:
    """Each alias is a line of an address and its names, separated by tabs."""
    own = ["\t".join((address, *names)) for address in addresses if address]
    return _LOCAL + "".join(f"{line}\n" for line in (*own, *aliases))


def main() -> None:
    file, full, short, *aliases = sys.argv[1:]
    with open(file, "w") as out:  # noqa: PTH123  pathlib would double the start
        out.write(content(os.environ.get("POD_IPS", "").split(","), [full, short], aliases))


if __name__ == "__main__":
    main()
