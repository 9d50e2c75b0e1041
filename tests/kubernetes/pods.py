"""pods - runs what an overlay renders as processes that see what their pods would see: a network and a root of their own (read-only, with
the mounts of the manifest and nothing else), user 10001, no capability, Services as names with their pods' addresses. Secrets come from
new-secrets, mounted as Kubernetes does it. There is no cluster, and no NetworkPolicy is enforced. Needs root.
"""
import base64
import os
import shutil
import signal
import subprocess
import time

import manifests

USER = 10001


def run(*words, check=True, timeout=60):
    return subprocess.run([str(each) for each in words], capture_output=True, text=True, timeout=timeout, check=check).stdout.strip()


def wait_until(holds, what, seconds=180):  # Sentinels that were held up promote nobody for 30 s
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.1)


class Network:
    """A bridge in a namespace of its own, and a namespace for each name."""

    def __init__(self, third):
        self.third = third
        self.hub = f"desg{os.getpid()}-hub"
        self.names = []

    def build(self):
        run("ip", "netns", "add", self.hub)
        run("ip", "-n", self.hub, "link", "add", "hub", "type", "bridge")
        run("ip", "-n", self.hub, "addr", "add", f"10.213.{self.third}.1/24", "dev", "hub")
        run("ip", "-n", self.hub, "link", "set", "hub", "up")
        run("ip", "-n", self.hub, "link", "set", "lo", "up")

    def add(self, name):
        """Returns its address."""
        number = len(self.names)
        space, address = self.space(name), f"10.213.{self.third}.{10 + number}"
        self.names.append(name)
        run("ip", "netns", "add", space)
        run("ip", "-n", self.hub, "link", "add", f"to{number}", "type", "veth", "peer", "name", "net0", "netns", space)
        run("ip", "-n", self.hub, "link", "set", f"to{number}", "master", "hub", "up")
        run("ip", "-n", space, "addr", "add", f"{address}/24", "dev", "net0")
        run("ip", "-n", space, "link", "set", "net0", "up")
        run("ip", "-n", space, "link", "set", "lo", "up")
        return address

    def space(self, name):
        return f"desg{os.getpid()}-{name}"

    def destroy(self):
        for name in (*map(self.space, self.names), self.hub):
            run("ip", "netns", "del", name, check=False)


class Pod:
    def __init__(self, name, workload, address):
        self.name = name
        self.workload = workload
        self.address = address
        self.processes = []  # one a container

    @property
    def process(self):
        return self.processes[0] if self.processes else None


class Pods:
    def __init__(self, folder, objects, channels, programs, prepare=None):
        self.folder = folder
        self.overlay = manifests.Overlay("running", objects)
        self.programs = programs
        self.network = Network(78)
        self.pods = []
        self.secrets = folder / "secrets"
        self.secrets.mkdir(mode=0o700)
        if prepare:
            prepare(self.secrets)
        run(manifests.TOP / "deploy/kubernetes/new-secrets", self.secrets, *channels)
        self.data = {each["metadata"]["name"]: each["data"] for each in manifests.render(self.secrets)}

    # --- before they start ---

    def build(self):
        self.network.build()
        for workload in self.overlay.workloads:
            for number in range(workload.replicas):
                name = f"{workload.name}-{number if workload.kind == 'StatefulSet' else 'abcde'[number] * 5}"
                self.pods.append(Pod(name, workload, self.network.add(name)))
        lines = ["127.0.0.1 localhost"]
        for service in self.overlay.services:
            behind = [pod for pod in self.pods if pod.workload in self.overlay.behind(service)]
            spec = self.overlay.services[service]["spec"]
            only = spec["selector"].get("statefulset.kubernetes.io/pod-name")
            behind = [pod for pod in behind if only in (None, pod.name)]
            lines += [f"{pod.address} {service}" for pod in (behind if spec.get("clusterIP") == "None" else behind[:1])]
        (self.folder / "hosts").write_text("\n".join(lines) + "\n", "utf-8")

    def of(self, component, channel=None):
        return [pod for pod in self.pods if pod.workload.component == component and channel in (None, pod.workload.labels.get("desg/channel"))]

    # --- a pod's root ---

    def project(self, pod, name, data, items):
        """A ConfigMap or Secret as kubelet mounts it: links to ..data, group 10001, no rights for others."""
        place = self.folder / "pods" / pod.name / "volumes" / name
        if place.exists() and pod.processes:
            return place  # of a container that runs
        shutil.rmtree(place, ignore_errors=True)
        real = place / "..1"
        real.mkdir(parents=True)
        (place / "..data").symlink_to("..1")
        for key, path in items:
            (real / path).write_bytes(data[key] if isinstance(data[key], bytes) else data[key].encode())
            (real / path).chmod(0o440)
            os.chown(real / path, 0, USER)
            (place / path).symlink_to(f"..data/{path}")
        return place

    def volume(self, pod, name):
        """The folder to be mounted; None: an optional Secret that is not there."""
        volume = pod.workload.volumes.get(name, {})
        place = self.folder / "pods" / pod.name / "volumes" / name
        if "configMap" in volume:
            data = self.overlay.maps[volume["configMap"]["name"]]
            return self.project(pod, name, data, [(key, key) for key in data])
        if "secret" in volume:
            data = self.data.get(volume["secret"]["secretName"])
            if data is None and volume["secret"].get("optional"):
                data = {}
            data = {key: base64.b64decode(value) for key, value in data.items()}
            items = [(each["key"], each["path"]) for each in volume["secret"].get("items", [])] or [(key, key) for key in data]
            return self.project(pod, name, data, items)
        if "persistentVolumeClaim" in volume:  # a Job on the claim of a pod that is gone
            claim, _, owner = volume["persistentVolumeClaim"]["claimName"].partition("-")
            place = self.folder / "pods" / owner / "volumes" / claim
        place.mkdir(parents=True, exist_ok=True)  # a claim or an emptyDir: fsGroup gives it to the group
        os.chown(place, 0, USER)
        place.chmod(0o2777 if "emptyDir" in volume else 0o2775)
        return place

    def script(self, pod, container, root):
        system = [each for each in ("/bin", "/sbin", "/lib", "/lib64", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/proc", "/dev", "/etc/ssl", "/etc/alternatives")
                  if os.path.isdir(each)]
        lines = ["set -e", f"mount -t tmpfs tmpfs {root}"]
        for each in system:
            lines += [f"mkdir -p {root}{each}", f"mount --rbind {each} {root}{each}"]
        lines += [f"mkdir -p {root}/etc {root}/opt/programs {root}/usr/share/desg/rules",
                  f"cp /etc/nsswitch.conf /etc/ld.so.cache {root}/etc/ && echo multi on > {root}/etc/host.conf && cp {self.folder}/hosts {root}/etc/hosts",
                  f"mount --bind {self.programs} {root}/opt/programs",
                  f"mount --bind {manifests.TOP}/services/classify/rules {root}/usr/share/desg/rules",
                  f"cp {manifests.TOP}/services/classify/model/desk.model {root}/usr/share/desg/desk.model"]
        for mount in container.get("volumeMounts", []):
            source = self.volume(pod, mount["name"])
            lines += [f"mkdir -p {root}{mount['mountPath']}", f"mount --bind {source} {root}{mount['mountPath']}"]
        lines += [f"mount -o remount,ro {root}",
                  f"exec chroot {root} /usr/bin/setpriv --reuid={USER} --regid={USER} --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all \"$@\""]
        return "\n".join(lines)

    def start(self, pod):
        pod.processes = []
        for container in pod.workload.containers:
            pod.processes.append(self.start_container(pod, container))

    def start_container(self, pod, container):
        root = self.folder / "pods" / pod.name / container["name"]
        root.mkdir(parents=True, exist_ok=True)
        words = list(container.get("command", [])) or [f"/opt/programs/desg-{pod.workload.component}"]
        words += [each.replace("$(POD_NAME)", pod.name) for each in container.get("args", [])]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "POD_NAME": pod.name, **pod.workload.environment}
        with open(self.log(pod), "ab") as log:
            return subprocess.Popen(["ip", "netns", "exec", self.network.space(pod.name), "unshare", "--mount", "--propagation", "private",
                                     "bash", "-c", self.script(pod, container, root), "pod", *words], env=environment, stdout=log, stderr=log)

    def log(self, pod):
        return self.folder / f"{pod.name}.log"

    def text(self, pod):
        return self.log(pod).read_text("utf-8", "replace")

    # --- asking them ---

    def curl(self, *words):
        """(status, body) as somebody on the pods' network gets it."""
        done = run("ip", "netns", "exec", self.network.hub, "curl", "-sS", "--max-time", "30", "-w", "\n%{http_code}", *words, check=False)
        body, _, status = done.rpartition("\n")
        return int(status or 0), body

    def ask(self, pod, path, port="admin"):
        return self.curl(f"http://{pod.address}:{pod.workload.ports[port]}{path}")

    def metric(self, pod, start):
        """The sum of the series that begin so."""
        _, text = self.ask(pod, "/metrics")
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(start))

    def redis(self, pod, *words):
        password = (self.secrets / "redis-passwords/route").read_text("utf-8").strip()
        return run("ip", "netns", "exec", self.network.space(pod.name), "redis-cli", "--user", "route", "--pass", password, "--no-auth-warning", *words,
                   check=False)

    def sentinel(self, pod, *words):
        return run("ip", "netns", "exec", self.network.space(pod.name), "redis-cli", "-p", "26379", "sentinel", *words, check=False)

    def desg(self, *words):
        """A person's command, against the Service desk."""
        config = self.folder / "client.yaml"
        config.write_text("common: { force: gwent, redis: { address: 'redis:6379' } }\n", "utf-8")
        inside = f"mount --bind {self.folder}/hosts /etc/hosts && exec \"$@\""
        return run("ip", "netns", "exec", self.network.hub, "unshare", "--mount", "bash", "-c", inside, "desg", self.programs / "desg", "--config", config,
                   "--insecure", "--desk", "http://desk:8090", "--token-file", self.secrets / "people/control-room.token", *words, check=False)

    def stop(self, pod, with_signal=signal.SIGTERM):
        """Its exit code; None: it took longer than its pod would be given."""
        pause = pod.workload.containers[0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        until = time.monotonic() + pod.workload.pod["terminationGracePeriodSeconds"] - pause
        for process in pod.processes:
            process.send_signal(with_signal)
        try:
            return max(process.wait(timeout=until - time.monotonic()) for process in pod.processes)
        except subprocess.TimeoutExpired:
            return None

    def destroy(self):
        for pod in self.pods:
            for process in pod.processes:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        self.network.destroy()
