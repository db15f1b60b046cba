"""The files in `.ci/` for CI servers: validated against their schemas, and their shell steps run as they are.

Only the installation is not what it is there: `python3 -m venv` makes a folder whose `pip` writes down what it was
reported and whose `conform` is this one.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from conformance.commands.parser import command_parser
from tests.support.judging import serving_here
from tests.support.lacking import lacking
from tests.support.recording import PROFILE, report_in

ROOT = Path(__file__).resolve().parent.parent
CI = ROOT / ".ci"
BASH = shutil.which("bash") or "bash"


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CI / name).read_text("utf-8"))
    return found


ACTION = read("github/action.yml")
GITLAB = read("gitlab/conform.gitlab-ci.yml")
#: The hidden job as one that runs: what is hidden the schema lets pass as it is.
JOB = {"release": GITLAB[".conform"]}
JENKINS = (CI / "jenkins" / "Jenkinsfile").read_text("utf-8")
CONTAINER = (CI / "Containerfile").read_text("utf-8")
CLUSTER = list(yaml.safe_load_all((CI / "kubernetes" / "load.yaml").read_text("utf-8")))


# --- schemas


def schema(name: str) -> Draft7Validator:
    """Return a server's own schema, as check-jsonschema brings it along."""
    found = importlib.util.find_spec("check_jsonschema")
    if found is None or found.origin is None:
        lacking("the servers' schemas come with check-jsonschema")
    path = Path(found.origin).parent / "builtin_schemas" / "vendor" / f"{name}.json"
    return Draft7Validator(json.loads(path.read_text("utf-8")))


@pytest.mark.parametrize(("name", "given"), [("github-actions", ACTION), ("gitlab-ci", JOB)])
def test_servers_would_take_it(name: str, given: dict[str, Any]) -> None:
    assert [error.message for error in schema(name).iter_errors(given)] == []


def test_schemas_would_refuse_what_is_wrong() -> None:
    invalid = json.loads(json.dumps(ACTION))
    del invalid["runs"]["steps"][0]["shell"]
    assert list(schema("github-actions").iter_errors(invalid))
    invalid = json.loads(json.dumps(JOB))
    invalid["release"]["artifacts"]["when"] = "sometimes"
    assert list(schema("gitlab-ci").iter_errors(invalid))


def test_nothing_is_put_into_a_shell_but_by_the_environment() -> None:
    """`${{ … }}` in a script is text before it is a script: whoever names a branch would write commands."""
    assert [step["name"] for step in ACTION["runs"]["steps"] if "${{" in step.get("run", "")] == []


# --- steps, run as they stand


@pytest.fixture(scope="module")
def clean() -> Iterator[str]:
    with serving_here() as (url, _):
        yield url


@pytest.fixture(scope="module")
def broken() -> Iterator[str]:
    with serving_here("paging.zero-is-all") as (url, _):
        yield url


@pytest.fixture
def job(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a job in which `python3 -m venv` is a stand-in."""
    folder = tmp_path / "stand-in"
    folder.mkdir()
    script = f"""#!{BASH}
if [ "$1 $2" != "-m venv" ]; then exec {sys.executable} "$@"; fi
mkdir -p "$3/bin"
printf '#!{BASH}\\nprintf "%%s\\\\n" "$@" >> {tmp_path}/installed\\n' > "$3/bin/pip"
printf '#!{BASH}\\nexec {sys.executable} {ROOT}/conform.py "$@"\\n' > "$3/bin/conform"
chmod +x "$3/bin/pip" "$3/bin/conform"
"""
    (folder / "python3").write_text(script, "utf-8")
    (folder / "python3").chmod(0o755)
    retained = {
        name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "GITLAB_"))
    }
    return retained | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def selected(url: str) -> list[str]:
    return ["--target", url, "--profile", str(PROFILE), "--rule", "PAG-7", "--budget", "quick"]


def shell(script: str, env: dict[str, str], cwd: Path, *how: str) -> subprocess.CompletedProcess[str]:
    line = [*(how or (BASH, "--noprofile", "--norc", "-eo", "pipefail")), "-c", script]
    return subprocess.run(line, env=env, cwd=cwd, capture_output=True, text=True, timeout=600)


def acted(
    job: dict[str, str], folder: Path, inputs: dict[str, str]
) -> tuple[dict[str, subprocess.CompletedProcess[str]], dict[str, str]]:
    """Do the steps of the action that are scripts, one after the other; return them by name, and the outputs."""
    given = {name: value.get("default", "") for name, value in ACTION["inputs"].items()} | inputs
    written = {name: folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    env = job | {name: str(path) for name, path in written.items()}
    env |= {
        "GITHUB_ACTIONS": "true",
        "RUNNER_TEMP": str(folder / "temp"),
        "GITHUB_ACTION_PATH": str(CI / "github"),
    }
    done: dict[str, subprocess.CompletedProcess[str]] = {}
    outputs: dict[str, str] = {}
    failed = False
    for step in ACTION["runs"]["steps"]:
        if "run" not in step or (failed and "always()" not in step.get("if", "")):
            continue

        known = {f"inputs.{name}": text for name, text in given.items()}
        known |= {f"steps.run.outputs.{name}": text for name, text in outputs.items()}
        named = {
            name: text.removeprefix("${{ ").removesuffix(" }}") for name, text in step.get("env", {}).items()
        }
        more = {name: known[text] for name, text in named.items()}
        done[step["name"]] = shell(step["run"], env | more, folder)
        failed |= done[step["name"]].returncode != 0
        if written["GITHUB_OUTPUT"].exists():
            pairs = written["GITHUB_OUTPUT"].read_text("utf-8").splitlines()
            outputs = dict(pair.split("=", 1) for pair in pairs)
    return done, outputs


def test_action_keeps_the_status_and_shows_what_it_is_about(
    broken: str, job: dict[str, str], tmp_path: Path
) -> None:
    words = "\n".join([*selected(broken), ""])
    done, outputs = acted(job, tmp_path, {"verb": "check", "arguments": words, "out": "run"})
    assert [name for name, step in done.items() if step.returncode] == ["Exit status"]
    assert (done["Exit status"].returncode, outputs) == (1, {"status": "1"})
    installed = (tmp_path / "installed").read_text("utf-8").splitlines()
    assert (Path(installed[-1]).resolve(), Path(installed[-2]).name) == (ROOT, "constraints.txt")
    assert "nonconformant" in (tmp_path / "GITHUB_STEP_SUMMARY").read_text("utf-8")
    assert report_in(tmp_path / "run")["gate"] == "fail"
    assert (tmp_path / "run" / "junit.xml").is_file()
    reported = done["Run"].stderr
    assert "::error title=PAG-7 " in reported
    assert "::group::" in reported
    # Text of the screen must not be read as a command. The word that ends this is random.
    stop = re.search(r"^::stop-commands::(\w{32})$", done["Run"].stdout, re.M)
    assert stop is not None
    assert done["Run"].stdout.rstrip().endswith(f"::{stop[1]}::")
    assert "\x1b" not in done["Run"].stdout


def test_action_passes_what_passes(clean: str, job: dict[str, str], tmp_path: Path) -> None:
    done, outputs = acted(job, tmp_path, {"verb": "check", "arguments": "\n".join(selected(clean))})
    assert outputs == {"status": "0"}
    assert {step.returncode for step in done.values()} == {0}
    assert "::error" not in done["Run"].stderr


def test_action_reports_a_wrong_command_line(job: dict[str, str], tmp_path: Path) -> None:
    done, outputs = acted(job, tmp_path, {"arguments": "--rule\nENV-99"})
    assert outputs == {"status": "2"}
    assert done["Summary"].returncode == 0
    assert done["Exit status"].returncode == 2


@pytest.mark.parametrize("how", [(BASH, "-eo", "pipefail"), ("sh", "-e")], ids=["bash", "sh"])
def test_gitlab_job_keeps_the_status(
    how: tuple[str, ...], broken: str, job: dict[str, str], tmp_path: Path
) -> None:
    template = GITLAB[".conform"]
    env = job | template["variables"] | {"GITLAB_CI": "true", "CONFORM_VERB": "check"}
    env["CONFORM_ARGUMENTS"] = " ".join(selected(broken))
    done = shell("\n".join([*template["before_script"], *template["script"]]), env, tmp_path, *how)
    assert done.returncode == 1, done.stderr
    assert (tmp_path / "installed").read_text("utf-8").splitlines()[-1] == "."
    begun = re.findall(r"\x1b\[0Ksection_start:\d+:(\w+)[\r\n]\x1b\[0K", done.stderr)
    ended = re.findall(r"\x1b\[0Ksection_end:\d+:(\w+)[\r\n]\x1b\[0K", done.stderr)
    assert begun == ended == ["conform_check"]
    for retained in (*template["artifacts"]["paths"], template["artifacts"]["reports"]["junit"]):
        assert (tmp_path / retained.replace("$CONFORM_OUT", template["variables"]["CONFORM_OUT"])).exists()


def test_jenkins_stage_keeps_the_status(broken: str, job: dict[str, str], tmp_path: Path) -> None:
    assert JENKINS.count("{") == JENKINS.count("}")
    parameters = dict(re.findall(r"name: '(\w+)', defaultValue: '([^']*)'", JENKINS))
    steps = re.findall(r"sh '''\n(.*?)'''", JENKINS, re.S)
    assert len(steps) == 2
    env = job | parameters | {"CONFORM_VERB": "check", "CONFORM_ARGUMENTS": " ".join(selected(broken))}
    done = [shell(step, env, tmp_path, "sh", "-xe") for step in steps]
    assert [step.returncode for step in done] == [0, 1]
    (results,) = re.findall(r"junit testResults: '([^']+)'", JENKINS)
    assert (tmp_path / results).is_file()
    (retained,) = re.findall(r"archiveArtifacts artifacts: '([^']+)'", JENKINS)
    assert list(tmp_path.glob(retained))


# --- container and cluster, as far as they can be checked without an engine


def test_container_has_all_of_it_and_no_rights() -> None:
    lines = [line.split() for line in CONTAINER.replace("\\\n", " ").splitlines() if line.strip()]
    copied = {
        word for line in lines if line[0] == "COPY" and "--from=build" not in line for word in line[1:-1]
    }
    for name in copied:
        assert (ROOT / name).exists(), name
    # All that the wheel is made of.
    assert {
        "conformance",
        "fixtures",
        "load",
        "reports",
        "conform.py",
        "conftest.py",
        "pyproject.toml",
    } <= copied
    users = [line[1] for line in lines if line[0] == "USER"]
    assert users
    assert users[-1].isdecimal()
    assert int(users[-1]) > 0
    assert [line[0] for line in lines].count("FROM") == 2
    assert lines[-2] == ["ENTRYPOINT", '["conform"]']


def of(kind: str, name: str) -> dict[str, Any]:
    (found,) = [one for one in CLUSTER if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return dict(found["spec"])


def test_cluster_hangs_together() -> None:
    service, master = of("Service", "conform-master"), of("Job", "conform-master")
    workers = of("Job", "conform-workers")
    assert service["selector"] == master["template"]["metadata"]["labels"]
    assert service["selector"] != workers["template"]["metadata"]["labels"]
    (leads,) = master["template"]["spec"]["containers"]
    (sends,) = workers["template"]["spec"]["containers"]
    parser = command_parser()
    lead, send = (parser.parse_args(one["args"]) for one in (leads, sends))
    assert lead.master
    assert lead.workers == workers["parallelism"] == workers["completions"]
    assert send.worker
    assert send.master_host == "conform-master"
    (port,) = service["ports"]
    assert port["port"] == leads["ports"][0]["containerPort"] == lead.master_port == send.master_port
    assert port["targetPort"] == leads["ports"][0]["name"]
    for job in (master, workers):
        pod = job["template"]["spec"]
        (container,) = pod["containers"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        assert container["image"] == leads["image"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert str(pod["securityContext"]["runAsUser"]) in CONTAINER
        assert not container["securityContext"]["allowPrivilegeEscalation"]


def test_what_was_not_run_says_so() -> None:
    for text in (CONTAINER, (CI / "kubernetes" / "load.yaml").read_text("utf-8")):
        assert re.search(r"[Nn]ot (built or )?run by the project's own tests", text)
