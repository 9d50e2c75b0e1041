"""manifests - what deploy/kubernetes renders, and whether its parts fit each other, the configuration and the programs.

check_all() returns a list of faults, a sentence each. Nothing here needs a cluster.
"""
import json
import os
import pathlib
import re
import subprocess
import tempfile

import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]
SERVICES = ("ingest", "classify", "route", "notify", "desk")
USE_REDIS = ("route", "notify", "desk")
INGRESS, MONITORING, NAMES, OUTSIDE = "<ingress>", "<monitoring>", "<names>", "<outside>"
WORKLOADS = ("Deployment", "StatefulSet", "Job")
SPARE_MS = 5000  # between the end of a drain and SIGKILL
SIZES = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}


def render(folder):
    """The objects that `kubectl apply -k` would send. Raises RuntimeError with kubectl's own words."""
    try:
        done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, timeout=120)
    except FileNotFoundError:
        raise RuntimeError("kubectl is not installed: it renders the manifests; install it and run this again") from None
    if done.returncode != 0:
        raise RuntimeError(f"{folder} does not render: {done.stderr.strip()}")
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def bytes_of(text):
    number, unit = re.fullmatch(r"([0-9]+)([A-Za-z]*)", str(text)).groups()
    return int(number) * SIZES[unit]


def matches(selector, labels):
    if selector is None:
        return False
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for each in selector.get("matchExpressions") or []:
        has = labels.get(each["key"])
        if each["operator"] == "In" and has not in each["values"]:
            return False
        if each["operator"] not in ("In",):
            raise RuntimeError(f"operator {each['operator']} is not known here")
    return True


class Workload:
    """A Deployment, StatefulSet or Job, and the configuration its container `desg` starts with."""

    def __init__(self, object_, maps):
        self.object = object_
        self.name = object_["metadata"]["name"]
        self.kind = object_["kind"]
        self.where = f"{self.kind} {self.name}"
        self.replicas = object_["spec"].get("replicas", 1)
        template = object_["spec"]["template"]
        self.labels = template["metadata"].get("labels", {})
        self.pod = template["spec"]
        self.containers = self.pod["containers"] + self.pod.get("initContainers", [])
        self.component = self.labels.get("app.kubernetes.io/component", "")
        self.ports = {port["name"]: port["containerPort"] for each in self.containers for port in each.get("ports", [])}
        self.desg = next((each for each in self.containers if each["name"] == "desg"), None)
        self.volumes = {each["name"]: each for each in self.pod.get("volumes", [])}
        self.claims = {each["metadata"]["name"]: each for each in object_["spec"].get("volumeClaimTemplates", [])}
        self.environment = self.read_environment(maps)
        self.text = self.read_text(maps)
        self.configuration = yaml.safe_load(self.text) if self.text else {}

    def read_environment(self, maps):
        found = {}
        if not self.desg:
            return found
        for source in self.desg.get("envFrom", []):
            found.update(maps.get(source.get("configMapRef", {}).get("name"), {}))
        found.update({each["name"]: each["value"] for each in self.desg.get("env", []) if "value" in each})
        return found

    def read_text(self, maps):
        volume = self.volumes.get("config", {}).get("configMap", {}).get("name")
        return maps.get(volume, {}).get("desg.yaml", "") if self.desg else ""

    def part(self, name=None):
        return self.configuration.get(name or self.component) or {}

    def mount_of(self, path):
        """The volume's name and what is below its mount; None if path is on the image's own, read-only disk."""
        best = None
        for mount in self.desg.get("volumeMounts", []):
            inside = path == mount["mountPath"] or path.startswith(mount["mountPath"].rstrip("/") + "/")
            if inside and (best is None or len(mount["mountPath"]) > len(best["mountPath"])):
                best = mount
        return None if best is None else (best["name"], path[len(best["mountPath"]):].strip("/"))


class Overlay:
    def __init__(self, name, objects, top=TOP):
        self.name = name
        self.top = top
        self.objects = objects
        self.faults = []
        self.maps = {each["metadata"]["name"]: each.get("data", {}) for each in self.of("ConfigMap")}
        self.workloads = [Workload(each, self.maps) for each in objects if each["kind"] in WORKLOADS]
        self.services = {each["metadata"]["name"]: each for each in self.of("Service")}
        self.secrets = documented_secrets(top)

    def of(self, *kinds):
        return [each for each in self.objects if each["kind"] in kinds]

    def fault(self, where, text):
        self.faults.append(f"{self.name}: {where}: {text}")

    def behind(self, service):
        selector = {"matchLabels": self.services[service]["spec"]["selector"]}
        return [each for each in self.workloads if matches(selector, {**each.labels, **pod_name(selector, each)})]


def pod_name(selector, workload):
    """The label that Kubernetes itself puts on each pod of a StatefulSet, if it asks for one that will be there."""
    key = "statefulset.kubernetes.io/pod-name"
    wanted = (selector.get("matchLabels") or {}).get(key)
    names = [f"{workload.name}-{i}" for i in range(workload.replicas)]
    return {key: wanted} if workload.kind == "StatefulSet" and wanted in names else {}


def documented_secrets(top):
    """{name: keys} of the table of Secrets in deploy/kubernetes/README.md."""
    found = {}
    for name, keys in re.findall(r"^\| `([a-zA-Z-]+)` \| ([^|]*) \|", (top / "deploy/kubernetes/README.md").read_text("utf-8"), re.M):
        found[name] = re.findall(r"`([^`]+)`", keys)
    return found


def secret_keys(secrets, name):
    for pattern, keys in secrets.items():
        if re.fullmatch(pattern.replace("CHANNEL", "[a-z0-9-]+").replace("SERVICE", "(ingest|classify|route|notify)"), name):
            return keys
    return None


# --- names ---

def check_names(overlay):
    ids = [(each["kind"], each["metadata"]["name"]) for each in overlay.objects]
    for each in sorted(set(ids)):
        if ids.count(each) > 1:
            overlay.fault(" ".join(each), "is there twice")
    accounts = {each["metadata"]["name"]: each for each in overlay.of("ServiceAccount")}
    for each in overlay.workloads:
        account = each.pod.get("serviceAccountName")
        if overlay.name.startswith("job"):
            continue
        if account not in accounts:
            overlay.fault(each.where, f"its ServiceAccount {account} is not there")
        elif accounts[account].get("automountServiceAccountToken") is not False or each.pod.get("automountServiceAccountToken") is not False:
            overlay.fault(each.where, "its account's token is mounted")
        if each.pod.get("enableServiceLinks") is not False and each.desg:
            overlay.fault(each.where, "enableServiceLinks is on: Kubernetes' variables would mix with ours")
        check_volumes(overlay, each)
        for container in each.containers:
            check_mounts(overlay, each, container)


def check_volumes(overlay, workload):
    for name, volume in workload.volumes.items():
        if "configMap" in volume and volume["configMap"]["name"] not in overlay.maps:
            overlay.fault(workload.where, f"volume {name}: there is no ConfigMap {volume['configMap']['name']}")
        if "secret" not in volume:
            continue
        keys = secret_keys(overlay.secrets, volume["secret"]["secretName"])
        if keys is None:
            overlay.fault(workload.where, f"volume {name}: the Secret {volume['secret']['secretName']} is not in README.md's table")
            continue
        for item in volume["secret"].get("items", []):
            if item["key"] not in keys:
                overlay.fault(workload.where, f"volume {name}: README.md's table gives {volume['secret']['secretName']} no key {item['key']}")
        if volume["secret"].get("defaultMode", 420) & 0o007:
            overlay.fault(workload.where, f"volume {name}: anyone in the pod may read the Secret")
    for source in (workload.desg or {}).get("envFrom", []):
        if source.get("configMapRef", {}).get("name") not in overlay.maps:
            overlay.fault(workload.where, f"envFrom: there is no ConfigMap {source.get('configMapRef', {}).get('name')}")


def check_mounts(overlay, workload, container):
    known = set(workload.volumes) | set(workload.claims)
    for mount in container.get("volumeMounts", []):
        if mount["name"] not in known:
            overlay.fault(workload.where, f"mounts {mount['name']}, which is no volume of it")


# --- selectors, Services, Ingresses ---

def check_selectors(overlay):
    for each in overlay.workloads:
        selector = each.object["spec"].get("selector")
        if each.kind != "Job" and not matches(selector, each.labels):
            overlay.fault(each.where, "its selector does not match its own pods")
        if each.kind != "Job":
            for other in overlay.workloads:
                if other is not each and matches(selector, other.labels) and other.kind == each.kind:
                    overlay.fault(each.where, f"its selector matches the pods of {other.where} too")
        check_spread(overlay, each)
        if each.kind == "StatefulSet":
            service = each.object["spec"].get("serviceName")
            if service not in overlay.services or each not in overlay.behind(service):
                overlay.fault(each.where, f"its Service {service} is not there or is not its own")
            keeps = each.object["spec"].get("persistentVolumeClaimRetentionPolicy")
            if keeps != {"whenDeleted": "Retain", "whenScaled": "Retain"}:
                overlay.fault(each.where, "its claims are not retained")


def check_spread(overlay, workload):
    preferred = workload.pod.get("affinity", {}).get("podAntiAffinity", {}).get("preferredDuringSchedulingIgnoredDuringExecution", [])
    selectors = [each["podAffinityTerm"]["labelSelector"] for each in preferred]
    selectors += [each["labelSelector"] for each in workload.pod.get("topologySpreadConstraints", [])]
    for selector in selectors:
        if not matches(selector, workload.labels):
            overlay.fault(workload.where, "what spreads its pods does not match them")
    if workload.replicas > 1 and not selectors:
        overlay.fault(workload.where, "nothing spreads its pods over nodes")


def check_services(overlay):
    for name, service in overlay.services.items():
        behind = overlay.behind(name)
        if not behind:
            overlay.fault(f"Service {name}", "its selector matches no pod")
        for port in service["spec"]["ports"]:
            for workload in behind:
                target = port.get("targetPort", port["port"])
                number = workload.ports.get(target) if isinstance(target, str) else target
                if number not in workload.ports.values():
                    overlay.fault(f"Service {name}", f"{workload.where} has no port {target}")
                elif service["spec"].get("clusterIP") == "None" and number != port["port"]:
                    overlay.fault(f"Service {name}", f"is headless, so {port['port']} leads to {port['port']}, not to {number}")
    for ingress in overlay.of("Ingress"):
        check_ingress(overlay, ingress)


def check_ingress(overlay, ingress):
    where = f"Ingress {ingress['metadata']['name']}"
    notes = ingress["metadata"].get("annotations", {})
    for key in ("proxy-body-size", "proxy-read-timeout"):
        if f"nginx.ingress.kubernetes.io/{key}" not in notes:
            overlay.fault(where, f"says nothing of {key}")
    hosts = {host for each in ingress["spec"].get("tls", []) for host in each["hosts"]}
    for rule in ingress["spec"]["rules"]:
        if rule["host"] not in hosts:
            overlay.fault(where, f"{rule['host']} is served without TLS")
        for path in rule["http"]["paths"]:
            backend = path["backend"]["service"]
            service = overlay.services.get(backend["name"])
            if not service or backend["port"]["name"] not in [port["name"] for port in service["spec"]["ports"]]:
                overlay.fault(where, f"there is no Service {backend['name']} with a port {backend['port']['name']}")
                continue
            for workload in overlay.behind(backend["name"]):
                served = [each["path"] for each in workload.part("ingest").get("channels", [])] if workload.component == "ingest" else [path["path"]]
                if path["path"] not in served:
                    overlay.fault(where, f"{path['path']} is no path of {workload.where}")


# --- ports and probes: those of the configuration ---

def port_of(endpoint):
    return int(re.sub(r"#.*", "", endpoint).rsplit(":", 1)[1])


def check_ports(overlay):
    for each in overlay.workloads:
        if not each.desg or not each.configuration:
            continue
        part = each.part()
        expected = {"admin": part.get("admin_listen"), "http": part.get("listen"), "events": part.get("classify_endpoint"),
                    "urgent": part.get("urgent_endpoint"), "bulk": part.get("bulk_endpoint"), "orders": part.get("endpoint")}
        for name, address in expected.items():
            if address is None and name in each.ports:
                overlay.fault(each.where, f"has a port {name}, its configuration does not")
            elif address is not None and each.ports.get(name) != port_of(address):
                overlay.fault(each.where, f"port {name} is {each.ports.get(name)}, in the configuration {port_of(address)}")
            elif address is not None and re.match(r"(tcp://)?(127\.|localhost|\[::1\])", address):
                overlay.fault(each.where, f"{name} listens inside the pod only: {address}")


def check_probes(overlay):
    wanted = {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    for each in overlay.workloads:
        if each.kind == "Job":
            continue
        for container in each.containers:
            for kind, path in wanted.items():
                probe = container.get(kind)
                where = f"{each.where}, container {container['name']}"
                if not probe:
                    overlay.fault(where, f"has no {kind}")
                elif container["name"] == "desg" and probe.get("httpGet", {}) != {"path": path, "port": "admin"}:
                    overlay.fault(where, f"{kind} does not ask {path} at the port admin")
                elif "tcpSocket" in probe and probe["tcpSocket"]["port"] not in [port["name"] for port in container.get("ports", [])]:
                    overlay.fault(where, f"{kind} asks a port it does not have")
        check_grace(overlay, each)


def check_grace(overlay, workload):
    grace_ms = int(workload.environment.get("DESG_COMMON_GRACE_MS", 20000))
    pause_s = (workload.desg or {}).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    allowed_s = workload.pod.get("terminationGracePeriodSeconds", 30)
    if allowed_s * 1000 < pause_s * 1000 + grace_ms + SPARE_MS:
        overlay.fault(workload.where, f"has {allowed_s} s to end, and needs {pause_s} s, {grace_ms} ms and {SPARE_MS} ms to spare")
    if workload.component in ("ingest", "notify", "desk") and workload.desg and workload.kind != "Job" and pause_s < 3:
        overlay.fault(workload.where, "stops listening before the ingress knows: no preStop")


# --- who may speak to whom ---

def arrows_in_use(overlay):
    """{(from, to, port)} of the configurations: workloads' names, and the four places outside."""
    used = set()
    for each in overlay.workloads:
        if each.desg and each.configuration:
            used |= arrows_of(overlay, each)
        if each.component == "redis" and "sentinel" in each.ports:
            used |= {(each.name, each.name, 6379), (each.name, each.name, 26379), (each.name, NAMES, 53)}
    return used


def arrows_of(overlay, workload):
    part, used = workload.part(), {(MONITORING, workload.name, workload.ports.get("admin")), (workload.name, NAMES, 53)}
    for key, value in part.items():
        if key in ("ingest_endpoints", "route_endpoints", "notify_endpoints", "route_urgent_endpoints", "route_bulk_endpoints"):
            for endpoint in value:
                used |= arrows_to(overlay, workload, re.fullmatch(r"tcp://([^:]+):.*", endpoint).group(1), port_of(endpoint))
    if workload.component in USE_REDIS:
        sentinels = workload.environment.get("DESG_COMMON_REDIS_SENTINELS", "")
        for address in filter(None, sentinels.split(",")):
            host, port = address.split(":")
            used |= arrows_to(overlay, workload, host, int(port)) | arrows_to(overlay, workload, host, 6379)
        if not sentinels:
            host, port = workload.environment["DESG_COMMON_REDIS_ADDRESS"].split(":")
            used |= arrows_to(overlay, workload, host, int(port))
    if workload.component == "notify":
        used.add((workload.name, OUTSIDE, 443))
    for ingress in overlay.of("Ingress"):
        for path in ingress["spec"]["rules"][0]["http"]["paths"]:
            name = path["backend"]["service"]["name"]
            if name in overlay.services and workload in overlay.behind(name):
                used.add((INGRESS, workload.name, workload.ports["http"]))
    return used


def arrows_to(overlay, workload, host, port):
    if host not in overlay.services:
        overlay.fault(workload.where, f"its configuration names {host}, which is no Service")
        return set()
    service = overlay.services[host]
    if port not in [each["port"] for each in service["spec"]["ports"]]:
        overlay.fault(workload.where, f"its configuration names {host}:{port}, a port that Service does not have")
    behind = overlay.behind(host)
    if any(each.component in ("ingest", "route", "notify") for each in behind):
        if service["spec"].get("clusterIP") != "None" or not service["spec"].get("publishNotReadyAddresses"):
            overlay.fault(f"Service {host}", "peers are found by it: headless, with addresses that are not ready")
    return {(workload.name, each.name, port) for each in behind}


def peers_of(overlay, rules, key):
    """[(names or places, ports)] of the rules of a policy."""
    found = []
    for rule in rules or []:
        ports = [(port.get("protocol", "TCP"), port["port"]) for port in rule.get("ports", [])]
        if not ports or not rule.get(key):
            overlay.fault("NetworkPolicy", "a rule without ports or peers lets all through")
        for peer in rule.get(key, []):
            found.append((peer_names(overlay, peer), ports))
    return found


def peer_names(overlay, peer):
    if "ipBlock" in peer:
        return {OUTSIDE}
    if "namespaceSelector" in peer:
        labels = peer["namespaceSelector"].get("matchLabels", {})
        place = {("desg/ingress", "true"): INGRESS, ("desg/monitoring", "true"): MONITORING,
                 ("kubernetes.io/metadata.name", "kube-system"): NAMES}
        return {place.get(each, f"namespaces {labels}") for each in labels.items()} or {"all namespaces"}
    return {each.name for each in overlay.workloads if matches(peer.get("podSelector"), each.labels)}


def arrows_allowed(overlay):
    into, out, denied = set(), set(), {"Ingress": set(), "Egress": set()}
    for policy in overlay.of("NetworkPolicy"):
        spec = policy["spec"]
        names = {each.name for each in overlay.workloads if matches(spec["podSelector"], each.labels) or spec["podSelector"] == {}}
        if not names:
            overlay.fault(f"NetworkPolicy {policy['metadata']['name']}", "matches no pod")
        for kind in spec.get("policyTypes", []):
            denied[kind] |= names
        for peers, ports in peers_of(overlay, spec.get("ingress"), "from"):
            into |= {(peer, name, port) for peer in peers for name in names for _, port in ports}
        for peers, ports in peers_of(overlay, spec.get("egress"), "to"):
            out |= {(name, peer, port) for peer in peers for name in names for _, port in ports}
    for each in overlay.workloads:
        for kind, names in denied.items():
            if each.name not in names:
                overlay.fault(each.where, f"no NetworkPolicy limits its {kind}")
    return into, out


def check_policies(overlay):
    used = arrows_in_use(overlay)
    into, out = arrows_allowed(overlay)
    outer = {INGRESS, MONITORING}
    for arrow in sorted(used, key=str):
        source, target, port = arrow
        if source not in outer and arrow not in out:
            overlay.fault(f"NetworkPolicy of {source}", f"does not let it out to {target}:{port}, which its configuration needs")
        if target not in (NAMES, OUTSIDE) and arrow not in into:
            overlay.fault(f"NetworkPolicy of {target}", f"does not let {source} in at {port}, which the configuration needs")
    for source, target, port in sorted((into | out) - used, key=str):
        overlay.fault("NetworkPolicy", f"allows {source} to {target}:{port}, which no configuration needs")


# --- what Pod Security "restricted" and the scheduler want ---

def check_security(overlay):
    for each in overlay.workloads:
        pod = each.pod.get("securityContext", {})
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            if each.pod.get(key):
                overlay.fault(each.where, f"{key} is on")
        for name, volume in each.volumes.items():
            if not {"configMap", "secret", "emptyDir", "persistentVolumeClaim", "projected", "downwardAPI"} & set(volume):
                overlay.fault(each.where, f"volume {name} is of a kind that is not allowed")
        for container in each.containers:
            own = container.get("securityContext", {})
            where = f"{each.where}, container {container['name']}"
            if not own.get("runAsNonRoot", pod.get("runAsNonRoot")) or own.get("runAsUser", pod.get("runAsUser", 0)) == 0:
                overlay.fault(where, "may run as root")
            if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
                overlay.fault(where, "may gain privileges")
            if own.get("capabilities", {}).get("drop") != ["ALL"] or own.get("capabilities", {}).get("add"):
                overlay.fault(where, "has capabilities")
            if own.get("seccompProfile", pod.get("seccompProfile", {})).get("type") not in ("RuntimeDefault", "Localhost"):
                overlay.fault(where, "has no seccomp profile")
            if own.get("readOnlyRootFilesystem") is not True:
                overlay.fault(where, "may write to its root")
            if any("hostPort" in port for port in container.get("ports", [])):
                overlay.fault(where, "takes a port of the host")
    for each in overlay.of("Namespace"):
        if each["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
            overlay.fault("Namespace", "does not enforce restricted")


def check_resources(overlay):
    for each in overlay.workloads:
        for container in each.containers:
            where = f"{each.where}, container {container['name']}"
            wants, has = container.get("resources", {}).get("requests", {}), container.get("resources", {}).get("limits", {})
            if "cpu" not in wants or "memory" not in wants or "memory" not in has:
                overlay.fault(where, "says not what it needs: requests of cpu and memory, a limit of memory")
            elif bytes_of(wants["memory"]) > bytes_of(has["memory"]):
                overlay.fault(where, "requests more memory than its limit")
            tag = container["image"].rsplit("/", 1)[-1].partition(":")[2]
            if overlay.name != "base" and (tag in ("", "latest") and "@sha256:" not in container["image"]):
                overlay.fault(where, f"image {container['image']} has no version")
            if container.get("imagePullPolicy") != "IfNotPresent":
                overlay.fault(where, "imagePullPolicy is not IfNotPresent")
            if container["name"] == "redis":
                check_redis_memory(overlay, each, container)
        if each.kind != "Job" and not any(t.get("tolerationSeconds") for t in each.pod.get("tolerations", [])):
            overlay.fault(each.where, "waits five minutes for a lost node")


def check_redis_memory(overlay, workload, container):
    name = workload.volumes["config"]["configMap"]["name"]
    settings = redis_settings(overlay.maps.get(name, {}).get("redis.conf", ""))
    if 2 * bytes_of(settings.get("maxmemory", "0")) > bytes_of(container["resources"]["limits"]["memory"]) or "maxmemory" not in settings:
        overlay.fault(workload.where, "its limit has no room for a copy of maxmemory")
    for file in ["redis.conf"] + (["replicas.conf"] if workload.replicas > 1 else []):
        for key, value in redis_settings((overlay.top / "deploy/redis" / file).read_text("utf-8")).items():
            if key not in ("aclfile", "dir", "include") and settings.get(key) != value:
                overlay.fault(workload.where, f"redis.conf: {key} has to be {value}, as in deploy/redis/{file}")


def redis_settings(text):
    return dict(line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#"))


def check_budgets(overlay):
    covered = []
    for each in overlay.of("PodDisruptionBudget"):
        where, spec = f"PodDisruptionBudget {each['metadata']['name']}", each["spec"]
        behind = [one for one in overlay.workloads if matches(spec["selector"], one.labels) and one.kind != "Job"]
        if len(behind) != 1:
            overlay.fault(where, f"matches {len(behind)} workloads")
            continue
        covered.append(behind[0].name)
        left = spec["minAvailable"] if "minAvailable" in spec else behind[0].replicas - spec["maxUnavailable"]
        if behind[0].replicas > 1 and left < 1:
            overlay.fault(where, f"leaves none of {behind[0].where}")
        if left >= behind[0].replicas:
            overlay.fault(where, "lets no node be drained")
    for each in overlay.workloads:
        if each.kind != "Job" and each.name not in covered:
            overlay.fault(each.where, "has no PodDisruptionBudget")
        if each.desg and each.kind != "Job" and each.replicas < 2:
            overlay.fault(each.where, "has one pod: a new version or a node that is drained is an outage")


# --- configuration and the programs ---

def check_paths(overlay):
    for each in overlay.workloads:
        if not each.desg or not each.configuration:
            continue
        for key, value in walk(each.configuration, each.component, each.environment):
            check_path(overlay, each, key, value)
        check_room(overlay, each)


def walk(configuration, component, environment):
    """(key, path) of all files and directories that this service reads or writes."""
    stack = [(component, configuration.get(component) or {})] + [("common", configuration.get("common") or {})]
    while stack:
        name, value = stack.pop()
        if isinstance(value, dict):
            stack += [(f"{name}.{key}", each) for key, each in value.items()]
        elif isinstance(value, list):
            stack += [(name, each) for each in value]
        elif isinstance(value, str) and value.startswith("/") and re.search(r"(_file|_files|directory|model)$", name):
            yield name, value
    for name, value in environment.items():
        if name.startswith("DESG_") and value.startswith("/") and (component in USE_REDIS or "REDIS" not in name):
            yield name, value


def check_path(overlay, workload, key, path):
    mount = workload.mount_of(path)
    if mount is None:
        if not path.startswith("/usr/share/desg/"):
            overlay.fault(workload.where, f"{key}: {path} is on no volume")
        return
    name, below = mount
    if re.search(r"journal\.directory$", key) and (name not in workload.claims and "persistentVolumeClaim" not in workload.volumes.get(name, {})):
        overlay.fault(workload.where, f"{key}: {path} is not on a volume that lasts")
    secret = workload.volumes.get(name, {}).get("secret")
    if secret and below:
        keys = [item["path"] for item in secret.get("items", [])] or secret_keys(overlay.secrets, secret["secretName"]) or []
        if below not in keys:
            overlay.fault(workload.where, f"{key}: the Secret {secret['secretName']} has no key {below} in README.md's table")


def check_room(overlay, workload):
    sizes = [value.get("size_mib", 1024) for value in workload.part().values() if isinstance(value, dict) and "directory" in value]
    for claim in workload.claims.values():
        room = bytes_of(claim["spec"]["resources"]["requests"]["storage"])
        if sizes and sum(sizes) * (1 << 20) > room * 0.9:
            overlay.fault(workload.where, f"its journals take {sum(sizes)} MiB, its claim has {room >> 20}: leave a tenth")


def check_configurations(overlay, programs):
    """Each pod's configuration and environment, read by the program itself."""
    for each in overlay.workloads:
        program = programs / f"desg-{each.component}"
        if not each.desg or each.component not in SERVICES:
            continue
        if not each.configuration:
            overlay.fault(each.where, "has no configuration")
        elif not program.exists():
            overlay.fault(each.where, f"{program} is not built")
        else:
            with tempfile.TemporaryDirectory() as folder:
                check_configuration(overlay, each, program, pathlib.Path(folder))


def check_configuration(overlay, workload, program, folder):
    def moved(text):
        text = text.replace("/usr/share/desg/rules", str(overlay.top / "services/classify/rules"))
        text = text.replace("/usr/share/desg/desk.model", str(overlay.top / "services/classify/model/desk.model"))
        return text.replace("/etc/desg/", f"{folder}/etc/")
    for _, path in walk(workload.configuration, workload.component, workload.environment):
        if path.startswith("/etc/desg/"):
            make_secret(pathlib.Path(moved(path)))
    (folder / "desg.yaml").write_text(moved(workload.text), "utf-8")
    environment = {"PATH": os.environ["PATH"], **{key: moved(value) for key, value in workload.environment.items()}}
    done = subprocess.run([program, "--config", folder / "desg.yaml", "--check-config"], env=environment, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        overlay.fault(workload.where, f"{program.name} refuses its configuration: {(done.stdout + done.stderr).strip()}")


def make_secret(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith("-allowed"):
        path.mkdir(exist_ok=True)
        return
    digits = "0123456789abcdef" * 4
    text = {"journal-keys": f"2026-01-01 {digits}\n", "tokens": f"{digits} nia agent\n"}.get(path.name, digits + "\n")
    path.write_text(text, "utf-8")
    path.chmod(0o400)


# --- scaling ---

def check_scaling(overlay):
    documented = (overlay.top / "docs/operations.md").read_text("utf-8")
    for each in overlay.of("HorizontalPodAutoscaler", "ScaledObject"):
        where, spec = f"{each['kind']} {each['metadata']['name']}", each["spec"]
        target = spec["scaleTargetRef"]
        found = [one for one in overlay.workloads if (one.kind, one.name) == (target.get("kind", "Deployment"), target["name"])]
        if not found:
            overlay.fault(where, f"scales {target['name']}, which is not there")
        elif found[0].component != "classify":
            overlay.fault(where, f"scales {found[0].component}: only classify may be")
        if spec.get("minReplicas", spec.get("minReplicaCount", 0)) < 1:
            overlay.fault(where, "may go to zero")
        text = json.dumps(spec)
        for name in re.findall(r"desg_(?!channel)[a-z_]+", text):
            if f"`{name}`" not in documented:
                overlay.fault(where, f"{name} is no metric of docs/operations.md")
        channel = found[0].labels.get("desg/channel") if found else None
        named = set(re.findall(r'desg_channel[=": \\]+([A-Za-z0-9-]+)', text))
        if channel and named - {channel}:
            overlay.fault(where, f"looks at channel {', '.join(named)}, scales {channel}")
    for one in overlay.of("PodMonitor"):
        matched = [each for each in overlay.workloads if matches(one["spec"]["selector"], each.labels)]
        for workload in overlay.workloads:
            if workload.desg and workload not in matched:
                overlay.fault("PodMonitor", f"does not see {workload.where}")
        for workload in matched:
            for endpoint in one["spec"]["podMetricsEndpoints"]:
                if endpoint["port"] not in workload.ports:
                    overlay.fault("PodMonitor", f"{workload.where} has no port {endpoint['port']}")


CHECKS = (check_names, check_selectors, check_services, check_ports, check_probes, check_policies, check_security, check_resources,
          check_budgets, check_paths, check_scaling)


def check(name, objects, programs=None, top=TOP):
    """All faults of one overlay. Without programs their own --check-config is left out."""
    overlay = Overlay(name, objects, top)
    for each in CHECKS:
        each(overlay)
    if programs:
        check_configurations(overlay, programs)
    return sorted(set(overlay.faults))


def check_schema(name, objects, modules):
    done = subprocess.run(["node", str(pathlib.Path(__file__).with_name("schema.mjs")), str(modules)], input=json.dumps(objects, default=str),
                          capture_output=True, text=True, timeout=120)
    if done.returncode not in (0, 1) or (done.returncode == 1 and not done.stdout):
        return [f"{name}: the schema check itself failed: {done.stderr.strip()[-500:]}"]
    return [f"{name}: {line}" for line in done.stdout.splitlines()]
