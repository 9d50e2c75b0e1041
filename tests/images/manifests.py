"""manifests - what an overlay renders to, as the pods it would make: containers with their limits, mounts, variables, probes."""
import copy
import dataclasses
import re
import subprocess

import yaml


class NotRendered(Exception):
    """kubectl is missing or refuses the overlay."""


def render(overlay):
    try:
        done = subprocess.run(["kubectl", "kustomize", str(overlay)], capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        raise NotRendered("kubectl is not installed: its `kubectl kustomize` (1.27 or newer) renders the overlays") from None
    if done.returncode != 0:
        raise NotRendered(done.stderr)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def bytes_of(quantity):
    """256Mi -> bytes."""
    number, unit = re.fullmatch(r"(\d+)(Ki|Mi|Gi|)", str(quantity)).groups()
    return int(number) * {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}[unit]


@dataclasses.dataclass
class Mount:
    """kind: configmap, secret, empty or claim; items: {key: path} or None for all keys."""
    path: str
    kind: str
    source: str
    items: dict
    is_read_only: bool
    is_optional: bool = False


class PodSpec:
    """One pod of a Deployment or StatefulSet."""

    def __init__(self, owner, number, config_maps):
        template = copy.deepcopy(owner["spec"]["template"])
        self.owner = owner["metadata"]["name"]
        self.name = f"{self.owner}-{number}"
        self.labels = template["metadata"]["labels"]
        self.spec = template["spec"]
        self.container = self.spec["containers"][0]
        self.component = self.labels["app.kubernetes.io/component"]
        self.channel = self.labels.get("desg/channel")
        self.claims = [claim["metadata"]["name"] for claim in owner["spec"].get("volumeClaimTemplates", [])]
        self.config_maps = config_maps

    @property
    def image(self):
        return self.container["image"]

    @property
    def memory_limit(self):
        return bytes_of(self.container["resources"]["limits"]["memory"])

    @property
    def grace_s(self):
        """What SIGTERM leaves: the grace period without the pause before."""
        pause = self.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        return self.spec["terminationGracePeriodSeconds"] - pause

    def environment(self):
        found = {}
        for source in self.container.get("envFrom", []):
            found.update(self.config_maps[source["configMapRef"]["name"]]["data"])
        for variable in self.container.get("env", []):
            if "value" in variable:
                found[variable["name"]] = variable["value"]
            else:
                assert variable["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name", variable
                found[variable["name"]] = self.name
        return found

    def words(self, key):
        """command or args, with $(NAME) replaced as Kubernetes does."""
        environment = self.environment()
        return [re.sub(r"\$\((\w+)\)", lambda match: environment[match.group(1)], word) for word in self.container.get(key, [])]

    def port(self, name):
        return next(port["containerPort"] for port in self.container["ports"] if port["name"] == name)

    def probe(self, kind):
        """(path, port) of an httpGet probe; None: it has none."""
        ask = self.container.get(kind, {}).get("httpGet")
        return ask and (ask["path"], ask["port"] if isinstance(ask["port"], int) else self.port(ask["port"]))

    def mounts(self):
        volumes = {volume["name"]: volume for volume in self.spec.get("volumes", [])}
        for mount in self.container["volumeMounts"]:
            name, path, is_read_only = mount["name"], mount["mountPath"], mount.get("readOnly", False)
            volume = volumes.get(name)
            if volume is None:
                assert name in self.claims, f"{self.name}: no volume {name}"
                yield Mount(path, "claim", f"{self.name}-{name}", None, is_read_only)
            elif "emptyDir" in volume:
                yield Mount(path, "empty", name, None, is_read_only)
            else:
                kind, key = ("configMap", "name") if "configMap" in volume else ("secret", "secretName")
                items = volume[kind].get("items")
                yield Mount(path, kind.lower(), volume[kind][key], items and {item["key"]: item["path"] for item in items},
                            is_read_only, volume[kind].get("optional", False))


class Manifests:
    def __init__(self, documents):
        self.documents = documents
        self.config_maps = {document["metadata"]["name"]: document for document in self.of("ConfigMap")}

    def of(self, *kinds):
        return [document for document in self.documents if document["kind"] in kinds]

    def pods(self):
        for owner in self.of("Deployment", "StatefulSet"):
            for number in range(owner["spec"].get("replicas", 1)):
                yield PodSpec(owner, number, self.config_maps)

    def service_names(self, pod):
        """Names under which others find this pod."""
        for service in self.of("Service"):
            selector = service["spec"].get("selector")
            if selector and all(pod.labels.get(key) == value for key, value in selector.items()):
                yield service["metadata"]["name"]
