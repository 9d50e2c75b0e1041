"""What is in the images: no more than it says, and it says what it is."""
import json

import pytest

TITLES = {"ingest": "desg-ingest", "classify": "desg-classify", "route": "desg-route", "notify": "desg-notify", "desk": "desg-desk", "desg": "desg"}
SERVICES = tuple(name for name in TITLES if name != "desg")


def image(name, tag):
    return f"localhost/desg:{tag}" if name == "desg" else f"localhost/desg-{name}:{tag}"


def run(podman, tag, name, program, *arguments, check=True):
    return podman.run("run", "--rm", "--network", "none", "--read-only", "--read-only-tmpfs=false", "--cap-drop", "all", "--no-healthcheck",
                      "--entrypoint", program, image(name, tag), *arguments, check=check)


@pytest.mark.parametrize("name", TITLES)
def test_an_image_says_what_it_is(podman, tag, name):
    told = podman.inspect(image(name, tag), "image")
    config, health = told["Config"], told.get("Healthcheck", {}).get("Test", [])
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
    assert labels["title"] == TITLES[name] and labels["licenses"] == "GPL-3.0-or-later"
    assert labels["version"] != "unknown" and labels["revision"] and labels["created"].startswith("20")
    assert config["User"] == "10001:10001" and config.get("StopSignal", "SIGTERM") == "SIGTERM"
    assert config["Entrypoint"] == [f"/usr/bin/{TITLES[name]}"]  # no shell in between
    assert not config.get("Volumes")
    if name in SERVICES:
        assert health[:2] == ["CMD", f"/usr/bin/{TITLES[name]}"] and health[-2:] == ["--probe", "ready"]
    else:
        assert not health


@pytest.mark.parametrize("name", TITLES)
def test_the_bill_of_materials_is_whole(podman, tag, name):
    """Every library that the loader takes belongs to a package that the bill names in the version that is there."""
    document = json.loads(run(podman, tag, name, "/bin/cat", f"/usr/share/sbom/{TITLES[name]}.spdx.json").stdout)
    assert document["spdxVersion"] == "SPDX-2.3" and document["dataLicense"] == "CC0-1.0"
    identities = [package["SPDXID"] for package in document["packages"]]
    assert len(identities) == len(set(identities)) and document["packages"][0]["name"] == TITLES[name]
    assert {relation["relatedSpdxElement"] for relation in document["relationships"]} == set(identities)
    listed = {package["name"]: package["versionInfo"] for package in document["packages"][1:]}
    script = ("dpkg-query -W -f '${Package} ${Version}\\n'; "
              "for f in /var/lib/dpkg/status.d/*; do sed -n 's/^Package: //p' $f | tr '\\n' ' '; sed -n 's/^Version: //p' $f; done")
    there = dict(line.split() for line in run(podman, tag, name, "/bin/sh", "-c", script).stdout.splitlines())
    assert listed == there
    assert not [package for package in there if package.endswith("-dev") or package in ("gcc", "cmake", "python3")]


@pytest.mark.parametrize("name", TITLES)
def test_every_package_brings_its_licence(podman, tag, name):
    script = "for f in /var/lib/dpkg/status.d/*; do test -s /usr/share/doc/${f##*/}/copyright || echo ${f##*/}; done"
    assert run(podman, tag, name, "/bin/sh", "-c", script).stdout.split() == []


@pytest.mark.parametrize("name", SERVICES)
def test_without_a_configuration_a_service_says_what_is_missing(podman, tag, name):
    done = podman.run("run", "--rm", "--network", "none", "--read-only", "--no-healthcheck", image(name, tag), check=False)
    assert done.returncode == 78 and "/etc/desg/desg.yaml" in done.stderr


def test_classify_has_rules_and_model(podman, tag):
    out = run(podman, tag, "classify", "/bin/sh", "-c", "ls /usr/share/desg/rules/*.yaml | wc -l; test -s /usr/share/desg/desk.model").stdout
    assert int(out) > 20


def test_redis_is_nobodys_program_of_root(podman, tag):
    done = run(podman, tag, "redis", "/usr/bin/redis-server", "--version")
    assert done.stdout.startswith("Redis server v=")
    assert podman.inspect(image("redis", tag), "image")["Config"]["User"] == "10001:10001"
