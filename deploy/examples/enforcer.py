#!/usr/bin/env python3
"""An example enforcer for `netpol-verify lab --enforcer exec:deploy/examples/enforcer.py`.

It reads one JSON line for each change of the cluster, replaces one nftables table in every node's network
namespace, and answers {"generation":N}. It ends when its input ends. Python's standard library, nft and ip
are all it needs. It is meant to be read, and to be replaced by your own.
"""

import ipaddress
import json
import subprocess
import sys

TABLE = "inet example_policy"
BRIDGE_SWITCHES = "for f in /proc/sys/net/bridge/bridge-nf-call-ip*tables; do [ ! -e $f ] || echo 1 > $f; done"


def matches(selector, labels):
    """Whether a label selector matches; an empty one matches everything."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for wanted in selector.get("matchExpressions") or []:
        value, values = labels.get(wanted["key"]), wanted.get("values") or []
        if not {
            "In": value in values,
            "NotIn": value not in values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[wanted["operator"]]:
            return False
    return True


def family(address):
    return "ip" if ipaddress.ip_network(address, strict=False).version == 4 else "ip6"


def peer_pods(cluster, namespace, peer):
    """The live pods that an entry of from or to selects."""
    spaces = {space["name"]: space.get("labels") or {} for space in cluster["namespaces"]}
    for pod in cluster["pods"]:
        if peer.get("namespaceSelector") is not None:
            inside = matches(peer["namespaceSelector"], spaces.get(pod["namespace"], {}))
        else:
            inside = pod["namespace"] == namespace
        if inside and matches(peer.get("podSelector") or {}, pod["labels"]):
            yield pod


def port_matches(ports, named):
    """nft matches for a rule's ports; `named` is the pod that port names belong to, or None."""
    if not ports:
        return [""]
    found = []
    for entry in ports:
        protocol, port = entry.get("protocol", "TCP"), entry.get("port")
        word = protocol.lower()
        if port is None:
            found.append(f"meta l4proto {word} ")
        elif isinstance(port, int):
            found.append(f"{word} dport {port}-{entry.get('endPort', port)} ")
        else:
            declared = named["ports"] if named else []
            found += [
                f"{word} dport {one['containerPort']} "
                for one in declared
                if one.get("name") == port and one.get("protocol", "TCP") == protocol
            ]
    return found


def rule_lines(cluster, namespace, pod, direction, rule):
    """The nft rules that let through what one policy rule allows."""
    peers = rule.get("from" if direction == "ingress" else "to")
    ports = rule.get("ports")
    field = "saddr" if direction == "ingress" else "daddr"

    def lines(match, named):
        return [f"{match}{port}return" for port in port_matches(ports, named)]

    def pod_lines(peer):
        # A port name belongs to the pod that the packets go to.
        named = pod if direction == "ingress" else peer
        return [line for ip in peer["ips"] for line in lines(f"{family(ip)} {field} {ip} ", named)]

    if not peers:
        found = lines("", pod if direction == "ingress" else None)
        if direction == "egress" and any(isinstance(one.get("port"), str) for one in ports or []):
            found += [line for peer in cluster["pods"] for line in pod_lines(peer)]
        return found
    found = []
    for entry in peers:
        block = entry.get("ipBlock")
        if block is None:
            found += [line for peer in peer_pods(cluster, namespace, entry) for line in pod_lines(peer)]
            continue
        ip = family(block["cidr"])
        match = f"{ip} {field} {block['cidr']} "
        for hole in block.get("except") or []:
            match += f"{ip} {field} != {hole} "
        found += lines(match, pod if direction == "ingress" else None)
    return found


def types(spec):
    return spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])


def chain(cluster, pod, direction):
    """The rules of one isolated direction of a pod, or None when no policy isolates it."""
    isolated, lines = False, []
    for policy in cluster["policies"]:
        namespace, spec = policy["metadata"].get("namespace", "default"), policy.get("spec") or {}
        if namespace != pod["namespace"] or direction.capitalize() not in types(spec):
            continue
        if not matches(spec.get("podSelector") or {}, pod["labels"]):
            continue
        isolated = True
        for rule in spec.get(direction) or []:
            lines += rule_lines(cluster, namespace, pod, direction, rule)
    return lines + ["drop"] if isolated else None


def ruleset(cluster, node):
    """The whole table of one node, replacing what is there in one transaction.

    The hook stays: of a table that is deleted and made anew, packets under way could meet the new one while it is still
    empty and the old one when it already is. For the same reason there are no maps and no sets of ranges here.
    """
    text, jumps = f"table {TABLE} {{ }}\nflush table {TABLE}\ntable {TABLE} {{\n", []
    local = [pod for pod in cluster["pods"] if pod["node"] == node["name"]]
    for direction, field in ("egress", "saddr"), ("ingress", "daddr"):
        for number, pod in enumerate(local):
            lines = chain(cluster, pod, direction)
            if lines is None:
                continue
            text += f"chain {direction}{number} {{\n" + "\n".join(lines) + "\n}\n"
            jumps += [f"{family(ip)} {field} {ip} jump {direction}{number}" for ip in pod["ips"]]
    text += "chain forwarded {\ntype filter hook forward priority filter; policy accept;\n"
    # On a bridge, neighbour discovery passes here too.
    text += "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n"
    text += "ct state established,related accept\n"
    return text + "\n".join(jumps) + "\n}\n}\n"


def apply(cluster):
    # A finished pod's address may be another pod's by now: it is neither subject nor peer.
    cluster["pods"] = [pod for pod in cluster["pods"] if pod["phase"] not in ("Succeeded", "Failed")]
    for node in cluster["nodes"]:
        enter = ["ip", "netns", "exec", node["netns"]]
        subprocess.run([*enter, "sh", "-c", BRIDGE_SWITCHES], check=True)
        subprocess.run([*enter, "nft", "-f", "-"], input=ruleset(cluster, node), text=True, check=True)


def main():
    for line in sys.stdin:
        cluster = json.loads(line)
        apply(cluster)
        print(json.dumps({"generation": cluster["generation"]}), flush=True)


if __name__ == "__main__":
    main()
